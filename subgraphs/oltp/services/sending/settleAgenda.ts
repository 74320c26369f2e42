import { now } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { audit } from '#platform/outbox/announce.ts'
import { appendOutbox } from '#platform/outbox/append.ts'
import type { Context } from '../../context.ts'
import { lookEveryMs, planDue } from './agenda.ts'
import type { CampaignFacts } from './campaignFacts.ts'
import { nextOpenSpan, type Span } from './window.ts'
import { lockCampaign } from './writePlan.ts'

// Held before it is asked what comes next: who wrote into the agenda before is seen, who comes later finds the new time.
const HOLD = `
  INSERT INTO campaign_agenda AS a (tenant_id, campaign_id) VALUES ($1, $2)
  ON CONFLICT (tenant_id, campaign_id) DO UPDATE SET wake_count = a.wake_count
  RETURNING next_plan_at AS "nextPlanAt", wake_count AS "wakeCount"`

const LOOK = `
  SELECT EXISTS (SELECT FROM campaign_enrollments e
           WHERE e.tenant_id = $1 AND e.campaign_id = $2 AND e.status = 'active') AS "hasLeads",
         EXISTS (SELECT FROM inbox_message_refs r
           WHERE r.tenant_id = $1 AND r.campaign_id = $2 AND r.status = 'queued')
         OR EXISTS (SELECT FROM inbox_message_refs r
           WHERE r.tenant_id = $1 AND r.campaign_id = $2 AND r.status = 'sending') AS "hasMail",
         least((SELECT min(e.next_run_at) FROM campaign_enrollments e
                WHERE e.tenant_id = $1 AND e.campaign_id = $2 AND e.status = 'active' AND e.next_run_at > $3),
               (SELECT min(r.scheduled_at) FROM inbox_message_refs r
                WHERE r.tenant_id = $1 AND r.campaign_id = $2 AND r.status = 'queued' AND r.queued_at IS NULL
                  AND r.scheduled_at > $3)) AS "nextDueAt"`

const COMPLETE = `
  UPDATE campaigns SET status = 'completed', completed_at = $3, version = version + 1 WHERE tenant_id = $1 AND id = $2`

const SET_NEXT = 'UPDATE campaign_agenda SET next_plan_at = $3 WHERE tenant_id = $1 AND campaign_id = $2'

/** What a plan came to. `wakeCount`: what `findWakeCount` said before it was begun. */
type Outcome = { at: Date; span: Span | null; isBlocked: boolean; wakeCount: number }

/** When the campaign is to be planned next, null for never; at once when someone called while it was planned. */
export type Settled = { nextPlanAt: Date | null; isCalled: boolean }

/**
 * Says when a campaign is to be planned next: when the next step is due, or when what limits it begins anew. One without
 * active leads and without mail on its way is completed.
 */
export function settleAgenda(
  { db, requestId }: Context,
  campaign: CampaignFacts,
  { wakeCount, ...outcome }: Outcome,
): Promise<Settled> {
  const { at } = outcome
  return db.tenantSql.transaction(
    async (tx) => {
      const key = [currentTenant(), campaign.id]
      const status = await lockCampaign(tx, campaign.id)
      type Held = { nextPlanAt: Date | null; wakeCount: number }
      const { rows: held } = await tx.query<Held>({ name: 'hold_agenda', text: HOLD }, key)
      const before = held[0] as Held
      const settle = async (nextPlanAt: Date | null, isCalled = false): Promise<Settled> => {
        await tx.query({ name: 'set_next_plan', text: SET_NEXT }, [...key, nextPlanAt])
        return { nextPlanAt, isCalled }
      }
      // Who has stopped it has said all that there is to say; who calls after that is counted.
      if (status !== 'sending') return { nextPlanAt: null, isCalled: before.wakeCount !== wakeCount }
      type Look = { hasLeads: boolean; hasMail: boolean; nextDueAt: Date | null }
      const { rows } = await tx.query<Look>({ name: 'look_at_campaign', text: LOOK }, [...key, at])
      const { hasLeads, hasMail, nextDueAt } = rows[0] as Look
      if (!hasLeads && !hasMail) {
        await tx.query({ name: 'complete_campaign', text: COMPLETE }, [...key, at])
        await recordCompletion(tx, campaign.id, requestId)
        return settle(null)
      }
      if (before.wakeCount !== wakeCount) return settle(now(), true)
      const nextPlanAt = findNextPlan(campaign, { ...outcome, nextDueAt })
      if (nextPlanAt.getTime() !== before.nextPlanAt?.getTime()) {
        await appendOutbox(tx, [planDue(currentTenant(), campaign.id, requestId, nextPlanAt)])
      }
      return settle(nextPlanAt)
    },
    { retries: 3 },
  )
}

function findNextPlan(
  campaign: CampaignFacts,
  { at, span, isBlocked, nextDueAt }: Omit<Outcome, 'wakeCount'> & { nextDueAt: Date | null },
): Date {
  const { window, timezones } = campaign
  const openFrom = (time: Date) => nextOpenSpan(window, timezones.campaign, time)?.from ?? time
  // Closed now: nothing can be planned before it opens, whatever is due.
  if (span && span.from > at) return span.from
  // At the latest when the span ends: caps begin anew then.
  const ends = [openFrom(span?.to ?? new Date(at.getTime() + 3_600_000))]
  if (nextDueAt) ends.push(openFrom(new Date(Math.max(nextDueAt.getTime(), at.getTime() + lookEveryMs()))))
  // A mailbox that is short of room may get it back earlier (mail that was not sent); not worth more than a look an hour.
  if (isBlocked) ends.push(openFrom(new Date(at.getTime() + 3_600_000)))
  return new Date(Math.min(...ends.map((time) => time.getTime())))
}

function recordCompletion(tx: Queryable, campaignId: string, requestId: string) {
  return audit(tx, {
    ...{ tenantId: currentTenant(), correlationId: requestId, action: 'campaign.complete' },
    ...{ resourceType: 'Campaign', resourceId: campaignId },
    oldValues: { status: 'sending' },
    newValues: { status: 'completed' },
  })
}
