import type { LeadFileStatus } from '#graphql/oltp'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import type { Context } from '../../context.ts'
import { findRoom } from '../plans/planLimits.ts'
import { transact } from '../sending/transact.ts'
import { enrollImported, findCampaignState } from './enrollImported.ts'
import { FileProblem } from './fileProblem.ts'
import { type AcceptedRow, type FileRow, type ReadRows, readRows } from './importedRows.ts'
import { endImport } from './importLife.ts'
import { type ColumnMapping, type Columns, resolveColumns } from './leadColumns.ts'
import { findKnownLeads, insertLeads, type KnownLead, updateLeads, writeProblems } from './leadRows.ts'

/** Rows of a file as they come to be written. */
export type RowBatch = {
  importId: string
  header: readonly string[]
  /** The batch holds the file's rows from here to there, blank ones left out. */
  firstRow: number
  lastRow: number
  rows: readonly FileRow[]
  /** How much of the file has been read. */
  readBytes: number | bigint
  totalBytes: number | bigint
  updateExisting: boolean
  requestedBy?: string | null
}

/** Where the import stands after the batch; `emailColumn`: which column holds addresses, from 0. */
export type BatchOutcome = { status: LeadFileStatus; rowCount: number; emailColumn: number | null }

const MAX_ROWS = 2_000

const LOCK = `
  SELECT status, column_mapping AS "columnMapping", campaign_id AS "campaignId", row_count AS "rowCount",
         error_count AS "errorCount"
  FROM lead_imports WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE`

const COUNT = `
  UPDATE lead_imports
  SET row_count = $3, read_bytes = $4, total_bytes = $5, created_count = created_count + $6,
      updated_count = updated_count + $7, duplicate_count = duplicate_count + $8,
      suppressed_count = suppressed_count + $9, error_count = error_count + $10
  WHERE tenant_id = $1 AND id = $2`

type LockedImport = {
  status: LeadFileStatus
  columnMapping: ColumnMapping
  campaignId: string | null
  rowCount: number
  errorCount: number
}

type Counts = { created: number; updated: number; duplicates: number; suppressed: number; problems: number }

/**
 * Writes a batch of rows and moves the import's cursor behind them, in one transaction: a batch that comes again changes
 * nothing. What can't go on ends the import here, with what fitted written and counted.
 * @throws AppError NOT_FOUND; LIMIT_REACHED above 2000 rows; CONFLICT for a batch that does not follow on the last
 */
export async function importRows(context: Context, batch: RowBatch): Promise<BatchOutcome> {
  const importId = readId(batch.importId, 'importId')
  if (batch.rows.length > MAX_ROWS) throw new AppError('LIMIT_REACHED', `rows: at most ${MAX_ROWS} at a time`)
  const work = (tx: Queryable) => writeBatch(tx, { ...batch, importId }, context.requestId)
  const outcome = await transact(context, work, { retries: 2 })
  if (outcome.status !== 'running') context.relay.wake()
  return outcome
}

async function writeBatch(tx: Queryable, batch: RowBatch, requestId: string): Promise<BatchOutcome> {
  const { importId, firstRow, lastRow, requestedBy } = batch
  const { rows } = await tx.query<LockedImport>(LOCK, [currentTenant(), importId])
  const [locked] = rows
  if (!locked) throw new AppError('NOT_FOUND', 'importId: there is no such import')
  const { status, rowCount } = locked
  if (status !== 'running') return { status, rowCount, emailColumn: null }
  try {
    const columns = resolveColumns(locked.columnMapping, batch.header)
    const emailColumn = columns.findIndex((column) => column !== null && 'field' in column && column.field === 'email')
    if (lastRow <= rowCount) return { status, rowCount, emailColumn }
    if (firstRow !== rowCount + 1) throw new AppError('CONFLICT', `firstRow: the next row is ${rowCount + 1}`)
    const { problem, endedAt } = await writeRows(tx, { batch, locked, columns })
    if (!problem) return { status, rowCount: lastRow, emailColumn }
    await endImport(tx, { importId, requestedBy, problem, requestId })
    return { status: 'failed', rowCount: endedAt, emailColumn }
  } catch (error) {
    // Thrown before anything was written.
    if (!(error instanceof FileProblem)) throw error
    await endImport(tx, { importId, requestedBy, problem: error, requestId })
    return { status: 'failed', rowCount, emailColumn: null }
  }
}

type BatchWork = { batch: RowBatch; locked: LockedImport; columns: Columns }

async function writeRows(tx: Queryable, { batch, locked, columns }: BatchWork) {
  const { importId, updateExisting, lastRow } = batch
  const campaign = locked.campaignId === null ? null : await findCampaignState(tx, locked.campaignId)
  const read = readRows(columns, batch.rows)
  const known = await findKnownLeads(
    tx,
    read.accepted.map(({ lead }) => lead.email),
    campaign?.companyId ?? null,
  )
  const plan = planRows(read, known, updateExisting)
  const room = plan.created.length > 0 ? await findRoom(tx, 'leads') : null
  // The first row that the plan has no room for is where the import ends: nothing behind it is written or counted.
  const firstBeyond = room === null ? undefined : plan.created[room]?.number
  const endedAt = firstBeyond === undefined ? lastRow : firstBeyond - 1
  const within = <Row extends { number: number }>(rows: readonly Row[]) =>
    rows.filter(({ number }) => number <= endedAt)

  const created = within(plan.created)
  const madeIds = await insertLeads(tx, created)
  const updated = within(plan.updated)
  await updateLeads(tx, updated)
  const problems = within(read.problems)
  await writeProblems(tx, importId, { problems, before: locked.errorCount })
  if (campaign) {
    const present = within(plan.present).map(({ id }) => id)
    await enrollImported(tx, campaign, [...madeIds, ...present])
  }
  const counts = {
    created: madeIds.length,
    updated: updated.length,
    // Somebody else may have made the lead a moment ago.
    duplicates: within(plan.duplicates).length + created.length - madeIds.length,
    suppressed: within(plan.suppressed).length,
    problems: problems.length,
  }
  await count(tx, { ...batch, lastRow: endedAt }, counts)
  const problem =
    firstBeyond === undefined
      ? null
      : ({
          code: 'limit_reached',
          message: `the plan allows no more leads: row ${firstBeyond} is the first left out`,
        } as const)
  return { problem, endedAt }
}

type Plan = {
  created: AcceptedRow[]
  updated: (AcceptedRow & { id: string })[]
  duplicates: AcceptedRow[]
  suppressed: AcceptedRow[]
  /** Leads that there were, whether they are changed or not. */
  present: { number: number; id: string }[]
}

/** What is to become of each row, by who is there already. */
function planRows(read: ReadRows, known: ReadonlyMap<string, KnownLead>, updateExisting: boolean): Plan {
  const plan: Plan = { created: [], updated: [], duplicates: [...read.repeated], suppressed: [], present: [] }
  for (const row of read.accepted) {
    const { id = null, isSuppressed = false } = known.get(row.lead.email) ?? {}
    if (isSuppressed) plan.suppressed.push(row)
    else if (id === null) plan.created.push(row)
    else {
      plan.present.push({ number: row.number, id })
      if (updateExisting && !row.isRepeated) plan.updated.push({ ...row, id })
      else plan.duplicates.push(row)
    }
  }
  return plan
}

async function count(tx: Queryable, batch: RowBatch, counts: Counts): Promise<void> {
  const { created, updated, duplicates, suppressed, problems } = counts
  const place = [currentTenant(), batch.importId, batch.lastRow, batch.readBytes, batch.totalBytes]
  await tx.query(COUNT, [...place, created, updated, duplicates, suppressed, problems])
}
