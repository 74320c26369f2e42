import type { AddCampaignLeadsInput, LeadFilter, RemoveCampaignLeadsInput } from '#graphql/oltp'
import { now } from '#platform/clock.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import type { Context } from '../../context.ts'
import { changeAudited } from '../changes.ts'
import { readLeadFilter } from '../leads/leads.ts'
import type { CampaignRow } from '../rows.ts'
import { type Enrolled, enrollLeads, MAX_ENROLLED } from '../sending/enroll.ts'
import { lockEnrollments } from '../sending/enrollmentChanges.ts'
import { failQueued } from '../sending/failQueued.ts'
import { getCampaign, lockEditable } from './campaignChanges.ts'

/** Leads by their ids, or all that a filter finds; both together are both. */
export type LeadSelection = { leadIds?: readonly string[] | null; filter?: LeadFilter | null }

// Whoever was written to stays in the campaign's history; whoever wasn't may be put into it again.
const REMOVE = `
  WITH chosen AS (
    SELECT id FROM campaign_enrollments WHERE tenant_id = $1 AND campaign_id = $2 AND lead_id = ANY($3::uuid[])
  ), mailed AS (
    SELECT DISTINCT r.enrollment_id AS id FROM inbox_message_refs r
    WHERE r.tenant_id = $1 AND r.enrollment_id IN (SELECT id FROM chosen)
  ), gone AS (
    DELETE FROM campaign_enrollments e
    WHERE e.tenant_id = $1 AND e.id IN (SELECT id FROM chosen EXCEPT SELECT id FROM mailed) RETURNING e.id
  ), stopped AS (
    UPDATE campaign_enrollments e
    SET status = 'stopped', stop_reason = 'removed', ended_at = $4, next_run_at = NULL, version = e.version + 1
    WHERE e.tenant_id = $1 AND e.id IN (SELECT id FROM mailed) AND e.status = 'active' RETURNING e.id
  )
  SELECT (SELECT count(*)::int FROM gone) + (SELECT count(*)::int FROM stopped) AS removed`

const FIND_CHOSEN = `
  SELECT id FROM campaign_enrollments WHERE tenant_id = $1 AND campaign_id = $2 AND lead_id = ANY($3::uuid[])`

/**
 * Puts leads into a campaign that is not sending; they are written to once it is. A repeat adds nobody twice.
 * @throws AppError NOT_FOUND for an unknown campaign; LIMIT_REACHED above 5000 ids; CONFLICT while the campaign sends
 */
export async function addCampaignLeads(
  context: Context,
  input: AddCampaignLeadsInput,
): Promise<{ campaign: CampaignRow } & Enrolled> {
  const campaignId = readId(input.campaignId, 'campaignId')
  const enrolled = await enrollSelection(context, campaignId, input)
  return { campaign: await getCampaign(context, campaignId), ...enrolled }
}

/**
 * Takes leads out of a campaign that is not sending; mail of theirs that is queued does not go out.
 * @throws AppError NOT_FOUND for an unknown campaign; LIMIT_REACHED above 5000 ids; CONFLICT while the campaign sends
 */
export async function removeCampaignLeads(context: Context, input: RemoveCampaignLeadsInput) {
  const campaignId = readId(input.campaignId, 'campaignId')
  let removed = 0
  await eachBatch(context, input, async (leadIds) => {
    removed += await changeAudited(context, async (tx, record) => {
      await lockEditable(tx, campaignId)
      const at = now()
      const chosen = await tx.query<{ id: string }>(FIND_CHOSEN, [currentTenant(), campaignId, leadIds])
      const ids = chosen.rows.map(({ id }) => id)
      const failed = await failQueued(tx, 'enrollment', { ids, reason: 'removed_from_campaign', at })
      await lockEnrollments(tx, ids)
      const { rows } = await tx.query<{ removed: number }>(REMOVE, [currentTenant(), campaignId, leadIds, at])
      const done = { removed: rows[0]?.removed ?? 0, failed: failed.length }
      const resource = { resourceType: 'Campaign', resourceId: campaignId }
      await record({ action: 'campaign.removeLeads', ...resource, newValues: done })
      return done.removed
    })
  })
  return { campaign: await getCampaign(context, campaignId), removed }
}

/**
 * Enrolls a selection, batch by batch, each a transaction of its own: memory stays flat whatever its size, and after a
 * crash the rest is enrolled by asking again.
 * @throws AppError as `addCampaignLeads`
 */
export async function enrollSelection(context: Context, campaignId: string, selection: LeadSelection) {
  const total: Enrolled = { enrolled: 0, known: 0, suppressed: 0, unknown: 0 }
  await eachBatch(context, selection, async (leadIds) => {
    const done = await changeAudited(context, async (tx, record) => {
      await lockEditable(tx, campaignId)
      const enrolled = await enrollLeads(tx, campaignId, leadIds, { dueAt: null, at: now() })
      const resource = { resourceType: 'Campaign', resourceId: campaignId }
      await record({ action: 'campaign.addLeads', ...resource, newValues: enrolled })
      return enrolled
    })
    for (const key of ['enrolled', 'known', 'suppressed', 'unknown'] as const) total[key] += done[key]
  })
  return total
}

/** Calls `work` with the selected leads' ids, at most 5000 at a time; at least once, so that it can refuse. */
async function eachBatch(
  { db }: Context,
  { leadIds, filter }: LeadSelection,
  work: (leadIds: string[]) => Promise<void>,
): Promise<void> {
  const named = [...new Set((leadIds ?? []).map((id) => readId(id, 'leadIds')))]
  if (named.length > MAX_ENROLLED) throw new AppError('LIMIT_REACHED', `leadIds: at most ${MAX_ENROLLED} at a time`)
  if (named.length > 0 || !filter) await work(named)
  if (!filter) return
  const where = readLeadFilter(filter)
  let after: string | null = null
  for (;;) {
    const page: { id: string }[] = await db.tenant.lead.findMany({
      where: after === null ? where : { AND: [where, { id: { gt: after } }] },
      select: { id: true },
      orderBy: { id: 'asc' },
      take: MAX_ENROLLED,
    })
    await work(page.map(({ id }) => id))
    after = page.at(-1)?.id ?? null
    if (page.length < MAX_ENROLLED) return
  }
}
