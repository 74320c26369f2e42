import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { FAILED_MAIL, type FailedMail, giveBackPromises } from '../mailPromises.ts'
import { wakeCampaigns } from './agenda.ts'

// Without the mail the enrollment's step is free again: there can be another one of it.
const FAIL = `
  WITH mine AS (
    SELECT r.id, r.enrollment_id FROM inbox_message_refs r
    WHERE r.tenant_id = $1 AND r.lead_id = $2 AND r.status = 'queued' AND r.direction = 'outbound'
      AND r.enrollment_id IS NOT NULL ORDER BY r.id FOR UPDATE
  )
  UPDATE inbox_message_refs r
  SET status = 'failed', failed_at = $3, failure_reason = $4, enrollment_id = NULL, version = r.version + 1
  FROM mine WHERE r.tenant_id = $1 AND r.id = mine.id
  RETURNING mine.enrollment_id AS "takenFrom", ${FAILED_MAIL}`

const LOCK = `
  SELECT e.id, e.campaign_id AS "campaignId" FROM campaign_enrollments e
  WHERE e.tenant_id = $1 AND e.lead_id = $2 AND e.status = 'active' ORDER BY e.id FOR NO KEY UPDATE`

// Back to the last step that there is a mail of; what is waited for and asked in between is waited for and asked again.
const MOVE_BACK = `
  UPDATE campaign_enrollments e
  SET next_run_at = $3, version = e.version + 1, current_step_order = coalesce((
    SELECT max(s.step_order) FROM inbox_message_refs r
    JOIN campaign_sequence_steps s ON s.tenant_id = r.tenant_id AND s.id = r.step_id
    WHERE r.tenant_id = $1 AND r.enrollment_id = e.id), 0)
  WHERE e.tenant_id = $1 AND e.id = ANY($2::uuid[])`

// Whoever is just planning for them as they were finds them changed, and leaves it.
const TOUCH = `
  UPDATE campaign_enrollments e SET version = e.version + 1 WHERE e.tenant_id = $1 AND e.id = ANY($2::uuid[])`

type Taken = FailedMail & { takenFrom: string }

/**
 * Has a lead's mail that waits to leave be written anew, in the caller's transaction, since what it was made of has
 * changed: it fails, its place in the day is given back, and its step is planned again. Mail that has begun to leave stays
 * as it is. Answers how many mails.
 */
export async function planLeadAgain(
  tx: Queryable,
  leadId: string,
  { reason, at, requestId }: { reason: string; at: Date; requestId: string },
): Promise<number> {
  const fail = async () => (await tx.query<Taken>(FAIL, [currentTenant(), leadId, at, reason])).rows
  const failed = await fail()
  const { rows: enrollments } = await tx.query<{ id: string; campaignId: string }>(LOCK, [currentTenant(), leadId])
  // What was planned until they were locked; nobody plans for them any more now.
  failed.push(...(await fail()))
  const emptied = new Set(failed.map(({ takenFrom }) => takenFrom))
  const idsOf = (isEmptied: boolean) => enrollments.map(({ id }) => id).filter((id) => emptied.has(id) === isEmptied)
  await tx.query(MOVE_BACK, [currentTenant(), idsOf(true), at])
  await tx.query(TOUCH, [currentTenant(), idsOf(false)])
  await giveBackPromises(tx, failed)
  await wakeCampaigns(
    tx,
    enrollments.map(({ campaignId }) => campaignId),
    { at, now: at, requestId },
  )
  return failed.length
}
