import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { lookEveryMs, wakeCampaigns } from './agenda.ts'
import type { SendFacts } from './decideSend.ts'
import { changeEnrollments, lockEnrollments } from './enrollmentChanges.ts'
import type { EnrollmentChange } from './planBatch.ts'
import { findNextAction } from './steps.ts'

/** A mail that is behind its lead now: it left at `leftAt`, or (null) never will. */
export type PassedMail = { facts: SendFacts; leftAt: Date | null; stopReason?: string | null }

/** Leads that may be about to end in transactions which don't see each other. */
const FEW_LEADS = 200

const LEADS_LEFT = `
  SELECT c.id, (SELECT count(*)::int FROM (
    SELECT FROM campaign_enrollments e
    WHERE e.tenant_id = $1 AND e.campaign_id = c.id AND e.status = 'active' LIMIT $3) AS few) AS leads
  FROM unnest($2::uuid[]) AS c (id)`

/**
 * Moves leads on whose mail has left or never will: to the time of their next step, or to the end. With a `stopReason`
 * they go no further. Leads that have ended meanwhile stay as they are. Tells the planner what it has to look at.
 * @param tx of `transact`
 */
export async function advanceEnrollments(tx: Queryable, passed: readonly PassedMail[], at: Date): Promise<void> {
  // One whose next mail is planned already has moved on.
  const enrolled = passed.filter(({ facts: { mail, earlier } }) => {
    return mail.enrollmentId !== null && !earlier.some(({ status }) => status === 'queued' || status === 'sending')
  })
  if (enrolled.length === 0) return
  const versions = await lockEnrollments(tx, enrolled.map(({ facts }) => facts.mail.enrollmentId as string).sort())
  const nextDue = new Map<string, Date>()
  const ended = new Set<string>()
  const changes = enrolled.flatMap((one): EnrollmentChange[] => {
    const version = versions.get(one.facts.mail.enrollmentId as string)
    const campaignId = one.facts.mail.campaignId
    if (version === undefined || campaignId === null) return []
    const change = nextOf(one, version, at)
    if (change.status !== 'active') ended.add(campaignId)
    const known = nextDue.get(campaignId)
    if (change.nextRunAt && !(known && known <= change.nextRunAt)) nextDue.set(campaignId, change.nextRunAt)
    return [change]
  })
  await changeEnrollments(tx, changes, at)
  for (const [campaignId, due] of nextDue) wakeCampaigns(tx, [campaignId], due)
  if (ended.size === 0) return
  const values = [currentTenant(), [...ended].sort(), FEW_LEADS]
  const { rows } = await tx.query<{ id: string; leads: number }>({ name: 'leads_left', text: LEADS_LEFT }, values)
  // Of two that end at the same time neither may see that it is the last: it is looked at once more, soon.
  const soon = new Date(at.getTime() + lookEveryMs())
  for (const { id, leads } of rows) if (leads < FEW_LEADS) wakeCampaigns(tx, [id], leads === 0 ? at : soon)
}

function nextOf({ facts, leftAt, stopReason = null }: PassedMail, version: number, at: Date): EnrollmentChange {
  const { mail, steps, earlier, campaign } = facts
  const currentStepOrder = mail.currentStepOrder ?? 0
  const kept = { id: mail.enrollmentId as string, version, currentStepOrder, nextRunAt: null, stopReason }
  const emailAccountId = mail.emailAccountId
  if (stopReason !== null) {
    return { ...kept, emailAccountId, status: stopReason === 'bounced' ? 'bounced' : 'stopped' }
  }
  const own = { stepId: mail.stepId, leftAt, humanOpenedAt: null, clickedAt: null, repliedAt: null }
  const startedAt = new Date(Math.max(mail.enrolledAt?.getTime() ?? 0, campaign?.startedAt?.getTime() ?? 0))
  const action = findNextAction(steps, { currentStepOrder, startedAt, messages: [...earlier, own] }, at)
  if (action.kind === 'complete') {
    return { ...kept, emailAccountId, status: 'completed', currentStepOrder: action.order }
  }
  return { ...kept, emailAccountId, status: 'active', nextRunAt: action.kind === 'wait' ? action.until : at }
}
