import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { wakeCampaigns } from './agenda.ts'
import type { SendFacts } from './decideSend.ts'
import { changeEnrollments, lockEnrollments } from './enrollmentChanges.ts'
import type { EnrollmentChange } from './planBatch.ts'
import { findNextAction } from './steps.ts'

/** A mail that is behind its lead now: it left at `leftAt`, or (null) never will. */
export type PassedMail = { facts: SendFacts; leftAt: Date | null; stopReason?: string | null }

const WITHOUT_LEADS = `
  SELECT c.id FROM unnest($2::uuid[]) AS c (id)
  WHERE NOT EXISTS (SELECT FROM campaign_enrollments e
                    WHERE e.tenant_id = $1 AND e.campaign_id = c.id AND e.status = 'active')`

/**
 * Moves leads on whose mail has left or never will: to the time of their next step, or to the end. With a `stopReason`
 * they go no further. Leads that have ended meanwhile stay as they are. Tells the planner what it has to look at.
 */
export async function advanceEnrollments(
  tx: Queryable,
  passed: readonly PassedMail[],
  { at, requestId }: { at: Date; requestId: string },
): Promise<void> {
  const enrolled = passed.filter(({ facts }) => facts.mail.enrollmentId !== null)
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
  for (const [campaignId, due] of nextDue) await wakeCampaigns(tx, [campaignId], { at: due, now: at, requestId })
  if (ended.size === 0) return
  const values = [currentTenant(), [...ended].sort()]
  const { rows } = await tx.query<{ id: string }>({ name: 'campaigns_without_leads', text: WITHOUT_LEADS }, values)
  await wakeCampaigns(
    tx,
    rows.map(({ id }) => id),
    { at, now: at, requestId },
  )
}

function nextOf({ facts, leftAt, stopReason = null }: PassedMail, version: number, at: Date): EnrollmentChange {
  const { mail, steps, earlier, campaign } = facts
  const currentStepOrder = mail.currentStepOrder ?? 0
  const kept = { id: mail.enrollmentId as string, version, currentStepOrder, nextRunAt: null, stopReason }
  const emailAccountId = mail.emailAccountId
  if (stopReason !== null) return { ...kept, emailAccountId, status: 'stopped' }
  const own = { stepId: mail.stepId, leftAt, humanOpenedAt: null, clickedAt: null, repliedAt: null }
  const startedAt = new Date(Math.max(mail.enrolledAt?.getTime() ?? 0, campaign?.startedAt?.getTime() ?? 0))
  const action = findNextAction(steps, { currentStepOrder, startedAt, messages: [...earlier, own] }, at)
  if (action.kind === 'complete') {
    return { ...kept, emailAccountId, status: 'completed', currentStepOrder: action.order }
  }
  return { ...kept, emailAccountId, status: 'active', nextRunAt: action.kind === 'wait' ? action.until : at }
}
