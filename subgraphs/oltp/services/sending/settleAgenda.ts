import { realSpan } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { audit } from '#platform/outbox/announce.ts'
import { appendOutbox } from '#platform/outbox/append.ts'
import type { Context } from '../../context.ts'
import { planDue } from './agenda.ts'
import type { CampaignFacts } from './campaignFacts.ts'
import { nextOpenSpan, type Span } from './window.ts'
import { lockCampaign } from './writePlan.ts'

/** What comes due within minutes is planned together: by the business clock, but no sooner than a real quarter second. */
const lookEveryMs = () => Math.max(5 * 60_000, 250 / realSpan(1))

const LOOK = `
  SELECT EXISTS (SELECT FROM campaign_enrollments e
           WHERE e.tenant_id = $1 AND e.campaign_id = $2 AND e.status = 'active') AS "hasLeads",
         EXISTS (SELECT FROM inbox_message_refs r
           WHERE r.tenant_id = $1 AND r.campaign_id = $2 AND r.status IN ('queued', 'sending')) AS "hasMail",
         (SELECT min(e.next_run_at) FROM campaign_enrollments e
           WHERE e.tenant_id = $1 AND e.campaign_id = $2 AND e.status = 'active' AND e.next_run_at > $3) AS "nextDueAt"`

const COMPLETE = `
  UPDATE campaigns SET status = 'completed', completed_at = $3, next_plan_at = NULL, version = version + 1
  WHERE tenant_id = $1 AND id = $2`

// Who woke the campaign while it was planned has named a time that the plan did not know of: it counts too.
const SET_NEXT = `
  UPDATE campaigns
  SET next_plan_at = CASE WHEN next_plan_at IS NOT DISTINCT FROM $4 THEN $3 ELSE least(next_plan_at, $3) END
  WHERE tenant_id = $1 AND id = $2 RETURNING next_plan_at AS "nextPlanAt"`

type Outcome = { at: Date; span: Span | null; isBlocked: boolean }

/**
 * Says when a campaign is to be planned next: when the next step is due, or when what limits it begins anew. One without
 * active leads and without mail on its way is completed. Answers the time, null when there is nothing more to plan.
 */
export function settleAgenda(
  { db, requestId }: Context,
  campaign: CampaignFacts,
  { at, span, isBlocked }: Outcome,
): Promise<Date | null> {
  return db.tenantSql.transaction(
    async (tx) => {
      const key = [currentTenant(), campaign.id]
      if ((await lockCampaign(tx, campaign.id)) !== 'sending') return null
      type Look = { hasLeads: boolean; hasMail: boolean; nextDueAt: Date | null }
      const { rows } = await tx.query<Look>({ name: 'look_at_campaign', text: LOOK }, [...key, at])
      const { hasLeads, hasMail, nextDueAt } = rows[0] as Look
      if (!hasLeads && !hasMail) {
        await tx.query({ name: 'complete_campaign', text: COMPLETE }, [...key, at])
        await recordCompletion(tx, campaign.id, requestId)
        return null
      }
      const nextPlanAt = findNextPlan(campaign, { at, span, isBlocked, nextDueAt })
      const values = [...key, nextPlanAt, campaign.nextPlanAt]
      const set = await tx.query<{ nextPlanAt: Date }>({ name: 'set_next_plan', text: SET_NEXT }, values)
      const settled = set.rows[0]?.nextPlanAt ?? nextPlanAt
      if (settled.getTime() !== campaign.nextPlanAt?.getTime()) {
        await appendOutbox(tx, [planDue(currentTenant(), campaign.id, requestId, settled)])
      }
      return settled
    },
    { retries: 3 },
  )
}

function findNextPlan(
  campaign: CampaignFacts,
  { at, span, isBlocked, nextDueAt }: Outcome & { nextDueAt: Date | null },
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
