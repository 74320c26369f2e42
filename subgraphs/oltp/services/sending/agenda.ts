import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { appendOutbox, type OutboxEventInput } from '#platform/outbox/append.ts'

// What the planner has been told already is not put off: it is the earliest time that counts.
const WAKE = `
  UPDATE campaigns SET next_plan_at = least(next_plan_at, $3)
  WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND deleted_at IS NULL AND status IN ('scheduled', 'sending')
    AND (next_plan_at IS NULL OR next_plan_at > $3)
  RETURNING id`

type Wake = { at: Date; now: Date; requestId: string }

/**
 * Has the planner look at campaigns of the tenant in scope, in the caller's transaction: at once when `at` is not in the
 * future (wake the relay after the commit), else when it is time. Nothing happens to one that neither sends nor is
 * scheduled. Times are the business clock's.
 */
export async function wakeCampaigns(tx: Queryable, campaignIds: readonly string[], wake: Wake): Promise<void> {
  const { at, now, requestId } = wake
  const ids = [...new Set(campaignIds)].sort()
  if (ids.length === 0) return
  const { rows } = await tx.query<{ id: string }>({ name: 'wake_campaigns', text: WAKE }, [currentTenant(), ids, at])
  const planAt = at > now ? at : null
  await appendOutbox(
    tx,
    rows.map(({ id }) => planDue(currentTenant(), id, requestId, planAt)),
  )
}

/** Has the planner look at one campaign; see `wakeCampaigns`. */
export function wakeCampaign(tx: Queryable, campaignId: string, wake: Wake): Promise<void> {
  return wakeCampaigns(tx, [campaignId], wake)
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
