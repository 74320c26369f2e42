import type { FinishLeadExportInput, LeadFileStatus, LeadFilter } from '#graphql/oltp'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import { notify } from '#platform/outbox/announce.ts'
import type { Context } from '../../context.ts'
import type { Database } from '../../database.ts'
import { readLeadFilter } from '../leads/leads.ts'
import type { LeadExportRow, LeadRow } from '../rows.ts'
import { findExport } from './exportRequests.ts'
import { problemText } from './fileProblem.ts'

const MAX_LEADS = 5_000
/** More columns than spreadsheets are read with. */
const MOST_CUSTOM = 200

const BEGIN = `
  UPDATE lead_exports SET status = 'running', started_at = coalesce(started_at, now()), row_count = 0
  WHERE tenant_id = $1 AND id = $2 AND status IN ('queued', 'running')`

const CUSTOM_FIELDS = `
  SELECT DISTINCT field FROM leads, jsonb_object_keys(custom) AS field
  WHERE tenant_id = $1 AND deleted_at IS NULL ORDER BY field LIMIT ${MOST_CUSTOM}`

const FINISH = `
  UPDATE lead_exports SET status = $3, content_storage_key = $4, row_count = $5, last_error = $6, completed_at = now()
  WHERE tenant_id = $1 AND id = $2 AND status = 'running'`

/**
 * A job takes up an export, from the beginning also if it had been begun. One that has ended stays ended. With the names
 * of the custom fields that the tenant's leads have: each gets a column.
 * @throws AppError NOT_FOUND
 */
export async function beginExport({ db }: Context, exportId: string) {
  const id = readId(exportId, 'exportId')
  await db.tenantSql.query(BEGIN, [currentTenant(), id])
  const { status, filter } = await getExport(db, id)
  const leadCount = await db.tenant.lead.count({ where: readLeadFilter(filter as LeadFilter) })
  const { rows } = await db.tenantSql.query<{ field: string }>(CUSTOM_FIELDS, [currentTenant()])
  return { status: status as LeadFileStatus, leadCount, customFields: rows.map(({ field }) => field) }
}

/**
 * The next leads of a running export, by id, at most 5000; none once it has ended.
 * @throws AppError NOT_FOUND; INVALID_INPUT
 */
export async function findExportedLeads(
  { db }: Context,
  { exportId, after, first }: { exportId: string; after?: string | null; first: number },
): Promise<LeadRow[]> {
  const { status, filter } = await getExport(db, readId(exportId, 'exportId'))
  if (first < 1 || first > MAX_LEADS) throw new AppError('INVALID_INPUT', `first: must be 1 to ${MAX_LEADS}`)
  if (status !== 'running') return []
  const beyond = after == null ? {} : { id: { gt: readId(after, 'after') } }
  return db.tenant.lead.findMany({
    where: { AND: [readLeadFilter(filter as LeadFilter), beyond] },
    orderBy: { id: 'asc' },
    take: first,
  })
}

/**
 * Ends a running export, with its file or with what went wrong, and tells whoever asked for it. A repeat changes nothing.
 * @throws AppError NOT_FOUND
 */
export async function finishExport(context: Context, input: FinishLeadExportInput) {
  const { db, relay, requestId } = context
  const { storageKey = null, rowCount, problem, requestedBy } = input
  const id = readId(input.exportId, 'exportId')
  const lastError = problem ? problemText({ code: 'internal', message: problem.message.slice(0, 1_000) }) : null
  await db.tenantSql.transaction(async (tx) => {
    const values = [currentTenant(), id, problem ? 'failed' : 'completed', storageKey, rowCount, lastError]
    const ended = await tx.query(FINISH, values)
    if (ended.rowCount === 0 || !requestedBy) return
    await notify(tx, {
      tenantId: currentTenant(),
      correlationId: requestId,
      userId: requestedBy,
      type: 'lead_export',
      title: problem ? 'Your leads could not be exported' : 'Your leads are exported',
      message: problem ? '' : `${rowCount} leads`,
      metadata: { leadExportId: id },
    })
  })
  relay.wake()
  const { status } = await getExport(db, id)
  return { status: status as LeadFileStatus }
}

async function getExport(db: Database, id: string): Promise<LeadExportRow> {
  const row = await findExport(db, id)
  if (!row) throw new AppError('NOT_FOUND', 'exportId: there is no such export')
  return row
}
