import { randomUUID } from 'node:crypto'
import { stringify } from 'csv-stringify/sync'
import type { LeadExportPayload } from '#platform/contracts/leadFile.ts'
import type { ServiceClient } from '#platform/graph/serviceClient.ts'
import { FileWriter, type OnBehalf } from './contentFiles.ts'

const BEGIN = `mutation BeginLeadExport($input: BeginLeadExportInput!) {
  beginLeadExport(input: $input) { status customFields leadCount }
}`
const NEXT = `query ExportedLeads($exportId: ID!, $after: ID, $first: Int!) {
  exportedLeads(exportId: $exportId, after: $after, first: $first) {
    id email name company title status unsubscribedAt createdAt custom
  }
}`
const FINISH = `mutation FinishLeadExport($input: FinishLeadExportInput!) {
  finishLeadExport(input: $input) { status }
}`

const LEADS_PER_CALL = 2_000
/** People fetch what they asked for soon. */
const KEEP_DAYS = 7
const COLUMNS = ['email', 'name', 'company', 'title', 'status', 'unsubscribedAt', 'createdAt'] as const
const TIMEOUT_MS = 60_000

export type ExportWork = {
  oltp: ServiceClient
  content: ServiceClient
  payload: LeadExportPayload
  on: OnBehalf
  signal: AbortSignal
  onProgress: (leads: number, of: number) => void
}

type Lead = Record<(typeof COLUMNS)[number], string | null> & { id: string; custom: Record<string, unknown> }

/**
 * Writes the leads of an export to a file, page by page. Whoever takes it up after a crash begins a new file; the old one
 * is never complete, and goes.
 * @throws AppError UNAVAILABLE
 */
export async function exportFile(work: ExportWork): Promise<void> {
  const { oltp, content, payload, on, signal } = work
  const exportId = payload.leadExportId
  type Begun = { beginLeadExport: { status: string; customFields: string[]; leadCount: number } }
  const begun = await oltp.request<Begun>(BEGIN, { input: { exportId } }, { ...on, timeoutMs: TIMEOUT_MS })
  const { status, customFields, leadCount } = begun.beginLeadExport
  if (status !== 'RUNNING') return
  const storageKey = `lead-export/${exportId}/${randomUUID()}`
  const facts = { filename: `leads-${exportId.slice(-12)}.csv`, mimeType: 'text/csv', keepDays: KEEP_DAYS }
  const file = new FileWriter(content, { ...facts, storageKey }, on)
  // The mark tells spreadsheets that it is UTF-8.
  await file.write(Buffer.from(`\ufeff${render([[...COLUMNS, ...customFields]])}`))
  let rowCount = 0
  for await (const leads of readLeads(work, exportId)) {
    signal.throwIfAborted()
    await file.write(Buffer.from(render(leads.map((lead) => rowOf(lead, customFields)))))
    rowCount += leads.length
    work.onProgress(rowCount, Math.max(leadCount, rowCount))
  }
  await file.close()
  await finish(work, { storageKey, rowCount })
}

/** Ends an export whose job is given up. */
export async function failExport(work: ExportWork, message: string): Promise<void> {
  await finish(work, { rowCount: 0, problem: { code: 'INTERNAL', message } })
}

async function* readLeads({ oltp, on }: ExportWork, exportId: string): AsyncGenerator<Lead[]> {
  let after: string | null = null
  for (;;) {
    const asked: Record<string, unknown> = { exportId, after, first: LEADS_PER_CALL }
    const options = { ...on, timeoutMs: TIMEOUT_MS }
    const { exportedLeads } = await oltp.request<{ exportedLeads: Lead[] }>(NEXT, asked, options)
    if (exportedLeads.length > 0) yield exportedLeads
    if (exportedLeads.length < LEADS_PER_CALL) return
    after = exportedLeads.at(-1)?.id ?? null
  }
}

function rowOf(lead: Lead, customFields: readonly string[]): (string | null)[] {
  const custom = customFields.map((name) => (lead.custom[name] == null ? null : String(lead.custom[name])))
  return [...COLUMNS.map((column) => lead[column]), ...custom]
}

/** What a spreadsheet would take for a formula is marked as the text it is. */
function render(rows: (string | null)[][]): string {
  return stringify(rows, { escape_formulas: true, record_delimiter: 'windows' })
}

type End = { storageKey?: string; rowCount: number; problem?: { code: string; message: string } }

async function finish({ oltp, payload, on }: ExportWork, end: End): Promise<void> {
  const { leadExportId: exportId, requestedBy } = payload
  await oltp.request(FINISH, { input: { exportId, requestedBy, ...end } }, on)
}
