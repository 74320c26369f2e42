import { now, realSpan } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { appendOutbox, type OutboxEventInput } from '#platform/outbox/append.ts'
import { type Agenda, endingOf } from './ending.ts'

// One with nothing to do looks again at nothing. A paused one may go on just now: the planner sees which it is. What the
// planner has been told already is not put off: the earliest time counts. Only who calls it at once is counted: what is
// due later it finds itself when it asks what comes next.
const WRITE = `
  INSERT INTO campaign_agenda (tenant_id, campaign_id, next_plan_at, wake_count)
  SELECT $1, c.id, asked.at, CASE WHEN asked.replaces THEN 0 ELSE 1 END
  FROM unnest($2::uuid[], $3::timestamptz[], $5::boolean[]) AS asked (campaign_id, at, replaces)
  JOIN campaigns c ON c.tenant_id = $1 AND c.id = asked.campaign_id AND c.deleted_at IS NULL
    AND (asked.replaces OR c.status IN ('scheduled', 'sending', 'paused'))
  ORDER BY c.id
  ON CONFLICT (tenant_id, campaign_id) DO UPDATE
  SET next_plan_at = CASE WHEN excluded.wake_count = 0 THEN excluded.next_plan_at
                          ELSE least(campaign_agenda.next_plan_at, excluded.next_plan_at) END,
      wake_count = campaign_agenda.wake_count + CASE WHEN excluded.next_plan_at <= $4::timestamptz THEN 1 ELSE 0 END
  RETURNING campaign_id AS id, next_plan_at AS "nextPlanAt"`

const FIND_WAKE_COUNT = `
  SELECT wake_count AS "wakeCount" FROM campaign_agenda WHERE tenant_id = $1 AND campaign_id = $2`

// Who called meanwhile knows better. One that is scheduled anew has a later time.
const LEAVE = `
  UPDATE campaign_agenda a
  SET next_plan_at = (SELECT c.scheduled_at FROM campaigns c
    WHERE c.tenant_id = $1 AND c.id = $2 AND c.status = 'scheduled' AND c.deleted_at IS NULL)
  WHERE a.tenant_id = $1 AND a.campaign_id = $2 AND a.wake_count = $3`

/** What is due so soon may be so before it is committed: it counts as due at once. Real time, as business time. */
const soonMs = () => 5_000 / realSpan(1)

/** What comes due within minutes is planned together: by the business clock, but no sooner than a real quarter second. */
export const lookEveryMs = () => Math.max(5 * 60_000, 250 / realSpan(1))

/**
 * Has the planner look at campaigns of the tenant in scope, at the end of the caller's transaction: at once when `at` is
 * not in the future (wake the relay after the commit), else when it is time. Times are the business clock's.
 * @param tx of `transact`
 */
export function wakeCampaigns(tx: Queryable, campaignIds: readonly string[], at: Date): void {
  const { agenda } = endingOf(tx)
  for (const id of campaignIds) {
    const known = agenda.get(id)
    // One that this transaction stops is not woken by it.
    if (!known || (known.at !== null && known.at > at)) agenda.set(id, { at, replaces: known?.replaces ?? false })
  }
}

/** Has the planner look at one campaign; see `wakeCampaigns`. */
export function wakeCampaign(tx: Queryable, campaignId: string, at: Date): void {
  wakeCampaigns(tx, [campaignId], at)
}

/** Has the planner look at a campaign at this time, whatever it was told before; never (null) when it was stopped. */
export function setPlanTime(tx: Queryable, campaignId: string, at: Date | null): void {
  endingOf(tx).agenda.set(campaignId, { at, replaces: true })
}

/** Writes what was gathered into the agenda, in the order of the campaigns, and announces what is the next to be planned. */
export async function writeAgenda(tx: Queryable, agenda: Agenda, requestId: string): Promise<void> {
  if (agenda.size === 0) return
  const at = now()
  const asked = [...agenda].sort(([a], [b]) => (a < b ? -1 : 1))
  const values = [
    ...[currentTenant(), asked.map(([id]) => id), asked.map(([, one]) => one.at)],
    ...[new Date(at.getTime() + soonMs()), asked.map(([, { replaces }]) => replaces)],
  ]
  type Row = { id: string; nextPlanAt: Date | null }
  const { rows } = await tx.query<Row>({ name: 'write_agenda', text: WRITE }, values)
  const next = rows.filter(({ id, nextPlanAt }) => nextPlanAt && nextPlanAt.getTime() === agenda.get(id)?.at?.getTime())
  await appendOutbox(
    tx,
    next.map(({ id, nextPlanAt }) =>
      planDue(currentTenant(), id, requestId, nextPlanAt && nextPlanAt > at ? nextPlanAt : null),
    ),
  )
}

/** How often someone has called the planner at once: to be read before anything else is. */
export async function findWakeCount(sql: Queryable, campaignId: string): Promise<number> {
  const statement = { name: 'find_wake_count', text: FIND_WAKE_COUNT }
  const { rows } = await sql.query<{ wakeCount: number }>(statement, [currentTenant(), campaignId])
  return rows[0]?.wakeCount ?? 0
}

/** Takes a campaign that does not send off the agenda, unless someone has called since the count was read. */
export async function leaveAgenda(sql: Queryable, campaignId: string, wakeCount: number): Promise<void> {
  await sql.query({ name: 'leave_agenda', text: LEAVE }, [currentTenant(), campaignId, wakeCount])
}

/** A campaign has something to plan at a time to come, or (null) now. */
export function planDue(
  tenantId: string,
  campaignId: string,
  requestId: string,
  planAt: Date | null = null,
): OutboxEventInput {
  return {
    tenantId,
    aggregateType: 'Campaign',
    aggregateId: campaignId,
    eventType: 'campaign.planDue',
    correlationId: requestId,
    payload: { plannedCampaignId: campaignId, planAt: planAt?.toISOString() ?? null },
  }
}
