import { v7 as uuidv7 } from 'uuid'
import type { ExportLeadsInput } from '#graphql/oltp'
import { makeRepeatable, rememberAnswer } from '#platform/database/idempotency.ts'
import { findPage } from '#platform/database/pages.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { isUuid } from '#platform/graph/ids.ts'
import { appendOutbox } from '#platform/outbox/append.ts'
import type { Context } from '../../context.ts'
import type { Database } from '../../database.ts'
import { changeAudited } from '../changes.ts'
import { readLeadFilter } from '../leads/leads.ts'
import { NEWEST_FIRST, type PageInput } from '../lists.ts'
import type { LeadExportRow } from '../rows.ts'

const INSERT = 'INSERT INTO lead_exports (tenant_id, id, filter) VALUES ($1, $2, $3)'

/**
 * Has leads written to a file by a job. Repeating an `idempotencyKey` answers the first export again.
 * @throws AppError INVALID_INPUT for a bad filter; NOT_FOUND for an unknown campaign; CONFLICT for a key used with another
 *         input
 */
export async function exportLeads(context: Context, input: ExportLeadsInput): Promise<LeadExportRow> {
  const { caller, loaders, requestId } = context
  const filter = input.filter ?? {}
  readLeadFilter(filter)
  if (filter.campaignId != null && !(await loaders.campaigns.load(filter.campaignId))) {
    throw new AppError('NOT_FOUND', 'filter.campaignId: there is no such campaign')
  }
  const kept = JSON.stringify(filter)
  const request = makeRepeatable(input.idempotencyKey, 'exportLeads', [kept])
  const made = { leadExportId: uuidv7() }
  const { leadExportId } = await changeAudited(context, async (tx, record) => {
    const earlier = request && (await rememberAnswer(tx, request, made))
    if (earlier) return earlier
    await tx.query(INSERT, [currentTenant(), made.leadExportId, kept])
    await appendOutbox(tx, [
      {
        tenantId: currentTenant(),
        aggregateType: 'LeadExport',
        aggregateId: made.leadExportId,
        eventType: 'leadExport.requested',
        correlationId: requestId,
        payload: { ...made, requestedBy: caller.userId },
      },
    ])
    const { status = null, campaignId = null } = filter
    const newValues = { status, campaignId, isSearch: filter.search != null }
    await record({ action: 'lead.export', resourceType: 'LeadExport', resourceId: made.leadExportId, newValues })
    return made
  })
  const row = await findExport(context.db, leadExportId)
  if (!row) throw new AppError('NOT_FOUND', 'the export is gone')
  return row
}

/** A page of the tenant's exports, newest first. */
export function findExports(db: Database, page: PageInput) {
  return findPage(db.tenant.leadExport, { ...page, sort: NEWEST_FIRST })
}

/** An export of the tenant; null for an unknown one. */
export async function findExport(db: Database, id: string): Promise<LeadExportRow | null> {
  return isUuid(id) ? db.tenant.leadExport.findFirst({ where: { id: id.toLowerCase() } }) : null
}
