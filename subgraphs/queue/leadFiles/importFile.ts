import type { LeadImportPayload } from '#platform/contracts/leadFile.ts'
import type { ServiceClient } from '#platform/graph/serviceClient.ts'
import { checkFile, type FileShape, isBlank, openRows } from './checkFile.ts'
import { type OnBehalf, readParts } from './contentFiles.ts'
import { FileFault, type FileFaultCode } from './fileFault.ts'
import { SeenAddresses } from './seenAddresses.ts'

const BEGIN = `mutation BeginLeadImport($input: BeginLeadImportInput!) {
  beginLeadImport(input: $input) { leadImport { status contentStorageKey rowCount } }
}`
const IMPORT_ROWS = `mutation ImportLeadRows($input: ImportLeadRowsInput!) {
  importLeadRows(input: $input) { status rowCount emailColumn }
}`
const FINISH = `mutation FinishLeadImport($input: FinishLeadImportInput!) {
  finishLeadImport(input: $input) { leadImport { status } }
}`

/** Rows of one call, which is one transaction: fewer if they are long. */
const ROWS_PER_CALL = 1_000
const CHARACTERS_PER_CALL = 1_000_000
const TIMEOUT_MS = 60_000

export type ImportWork = {
  oltp: ServiceClient
  content: ServiceClient
  payload: LeadImportPayload
  on: OnBehalf
  signal: AbortSignal
  onProgress: (rows: number, of: number) => void
}

type Row = { number: number; cells: string[] }
type Batch = { firstRow: number; lastRow: number; rows: Row[] }
type BatchAnswer = { importLeadRows: { status: string; rowCount: number; emailColumn: number | null } }

/**
 * Imports a file: reads it through first, then hands its rows over batch by batch. Whoever takes it up after a crash reads
 * it again from the beginning and hands over what has not been written.
 * @throws FileFault when the file can't be read; AppError UNAVAILABLE
 */
export async function importFile(work: ImportWork): Promise<void> {
  const { content, on, signal, payload } = work
  const { status, contentStorageKey, rowCount: written } = await begin(work)
  if (status !== 'RUNNING') return
  const progress = { bytes: 0 }
  const source = () => readParts(content, contentStorageKey, on)
  const shape = await checkFile(source, signal)
  // The header alone: whether there is a column for the address, before any row is looked at.
  const answer = await send(work, shape, { firstRow: 0, lastRow: 0, rows: [] }, { bytes: 0, isRepeated: () => false })
  if (answer.status !== 'RUNNING') return
  if (shape.rowCount === 0) throw new FileFault('NO_ROWS', 'the file has a header and nothing else')
  const addressOf = ({ cells }: Row) => cells[answer.emailColumn ?? 0] ?? ''
  const seen = payload.updateExisting ? new SeenAddresses(shape.rowCount) : null

  for await (const batch of readBatches(countBytes(source(), progress), shape, written)) {
    signal.throwIfAborted()
    if (batch.lastRow > written) {
      const isRepeated = (row: Row) => seen?.has(addressOf(row)) ?? false
      const { status } = await send(work, shape, batch, { bytes: progress.bytes, isRepeated })
      if (status !== 'RUNNING') return
      work.onProgress(batch.lastRow, shape.rowCount)
    }
    for (const row of batch.rows) seen?.add(addressOf(row))
  }
  await finish(work, null)
}

/** Ends an import whose file or whose job is at fault. */
export async function failImport(work: ImportWork, code: FileFaultCode, message: string): Promise<void> {
  await finish(work, { code, message })
}

async function begin({ oltp, payload, on }: ImportWork) {
  type Answer = { beginLeadImport: { leadImport: { status: string; contentStorageKey: string; rowCount: number } } }
  const input = { importId: payload.leadImportId }
  const { beginLeadImport } = await oltp.request<Answer>(BEGIN, { input }, on)
  return beginLeadImport.leadImport
}

async function send(
  { oltp, payload, on }: ImportWork,
  { header, totalBytes }: FileShape,
  { firstRow, lastRow, rows }: Batch,
  { bytes, isRepeated }: { bytes: number; isRepeated: (row: Row) => boolean },
) {
  const input = {
    importId: payload.leadImportId,
    ...{ header, firstRow, lastRow, totalBytes, readBytes: bytes },
    rows: rows.map((row) => ({ ...row, isRepeated: isRepeated(row) })),
    ...{ updateExisting: payload.updateExisting, requestedBy: payload.requestedBy },
  }
  const options = { ...on, timeoutMs: TIMEOUT_MS }
  return (await oltp.request<BatchAnswer>(IMPORT_ROWS, { input }, options)).importLeadRows
}

async function finish({ oltp, payload, on }: ImportWork, problem: { code: string; message: string } | null) {
  const { leadImportId: importId, requestedBy } = payload
  await oltp.request(FINISH, { input: { importId, requestedBy, problem } }, on)
}

async function* countBytes(source: AsyncIterable<Buffer>, progress: { bytes: number }) {
  for await (const part of source) {
    progress.bytes += part.length
    yield part
  }
}

/** Batches of what has a cell in it. None holds rows on both sides of the cursor. */
async function* readBatches(source: AsyncIterable<Buffer>, shape: FileShape, written: number): AsyncGenerator<Batch> {
  let batch: Batch = { firstRow: 1, lastRow: 0, rows: [] }
  let characters = 0
  for await (const cells of openRows(source, shape)) {
    batch.lastRow += 1
    if (!isBlank(cells)) {
      batch.rows.push({ number: batch.lastRow, cells })
      for (const cell of cells) characters += cell.length
    }
    const isFull = batch.rows.length === ROWS_PER_CALL || characters > CHARACTERS_PER_CALL
    if (!isFull && batch.lastRow !== written) continue
    yield batch
    batch = { firstRow: batch.lastRow + 1, lastRow: batch.lastRow, rows: [] }
    characters = 0
  }
  if (batch.lastRow >= batch.firstRow) yield batch
}
