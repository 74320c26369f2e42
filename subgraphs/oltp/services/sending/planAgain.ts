import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { wakeCampaigns } from './agenda.ts'
import { lockEnrollments } from './enrollmentChanges.ts'
import { failQueued, type MailPlace } from './failQueued.ts'

// A lead gets a step's mail once: one that has not left and never will makes room for another.
const LET_GO = `
  UPDATE inbox_message_refs SET enrollment_id = NULL, version = version + 1
  WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND status = 'failed' AND sent_at IS NULL`

// Behind the last of its mails that there still are; what came in between is asked anew.
const MOVE_BACK = `
  UPDATE campaign_enrollments e
  SET next_run_at = $3, version = e.version + 1, current_step_order = coalesce((
    SELECT max(s.step_order) FROM inbox_message_refs r
    JOIN campaign_sequence_steps s ON s.tenant_id = $1 AND s.id = r.step_id AND s.deleted_at IS NULL
    WHERE r.tenant_id = $1 AND r.enrollment_id = e.id), 0)
  WHERE e.tenant_id = $1 AND e.id = ANY($2::uuid[]) AND e.status = 'active'`

// Whoever is just planning for them as they were finds them changed, and leaves it.
const TOUCH = `
  UPDATE campaign_enrollments SET version = version + 1
  WHERE tenant_id = $1 AND lead_id = $2 AND status = 'active' RETURNING id, campaign_id AS "campaignId"`

/**
 * Has mails that failed before they left (their mailbox is gone, their lead has another address) be planned again: their
 * leads are moved back and the planner is called. Leads that have ended stay as they are.
 * @param tx of `transact`
 */
export async function planAgain(tx: Queryable, mails: readonly MailPlace[], at: Date): Promise<void> {
  const enrolled = mails.filter(({ enrollmentId }) => enrollmentId !== null)
  if (enrolled.length === 0) return
  const enrollmentIds = [...new Set(enrolled.map(({ enrollmentId }) => enrollmentId as string))].sort()
  await lockEnrollments(tx, enrollmentIds)
  const ids = enrolled.map(({ id }) => id)
  await tx.query({ name: 'let_enrollments_go', text: LET_GO }, [currentTenant(), ids])
  await tx.query({ name: 'move_enrollments_back', text: MOVE_BACK }, [currentTenant(), enrollmentIds, at])
  wakeCampaigns(
    tx,
    enrolled.flatMap(({ campaignId }) => campaignId ?? []),
    at,
  )
}

/**
 * Has a lead's mail that waits to leave be written anew, since what it was made of has changed: it fails, its place in the
 * day is given back, and its step is planned again. Mail that has begun to leave stays as it is. Answers how many mails.
 * @param tx of `transact`, which holds the lead (see `holdLeads`)
 */
export async function planLeadAgain(
  tx: Queryable,
  leadId: string,
  { reason, at }: { reason: string; at: Date },
): Promise<number> {
  type Touched = { id: string; campaignId: string }
  const { rows } = await tx.query<Touched>({ name: 'touch_enrollments', text: TOUCH }, [currentTenant(), leadId])
  const failed = await failQueued(tx, 'enrollment', { ids: rows.map(({ id }) => id), reason, at })
  await planAgain(tx, failed, at)
  wakeCampaigns(
    tx,
    rows.map(({ campaignId }) => campaignId),
    at,
  )
  return failed.length
}
