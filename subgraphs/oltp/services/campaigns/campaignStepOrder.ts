import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'

const FIND = `
  SELECT id, step_order AS "stepOrder" FROM campaign_sequence_steps
  WHERE tenant_id = $1 AND campaign_id = $2 AND deleted_at IS NULL ORDER BY step_order`

// A number is taken once: steps change places by way of numbers that nobody has.
const MOVE_AWAY = `
  UPDATE campaign_sequence_steps SET step_order = step_order + 1000000
  WHERE tenant_id = $1 AND campaign_id = $2 AND deleted_at IS NULL`
const MOVE_BACK = `
  UPDATE campaign_sequence_steps s SET step_order = place.step_order
  FROM unnest($3::uuid[]) WITH ORDINALITY AS place (id, step_order)
  WHERE s.tenant_id = $1 AND s.campaign_id = $2 AND s.id = place.id`

// A lead stands behind the step it took last, wherever that is now.
const MOVE_LEADS = `
  UPDATE campaign_enrollments e SET current_step_order = moved.after, version = e.version + 1
  FROM unnest($3::int[], $4::int[]) AS moved (before, after)
  WHERE e.tenant_id = $1 AND e.campaign_id = $2 AND e.status = 'active' AND e.current_step_order = moved.before`

/** A campaign's steps in their order. */
export async function findStepOrder(tx: Queryable, campaignId: string): Promise<{ id: string; stepOrder: number }[]> {
  const { rows } = await tx.query<{ id: string; stepOrder: number }>(FIND, [currentTenant(), campaignId])
  return rows
}

/**
 * Numbers a campaign's steps from 1 in this order, in the caller's transaction, which holds the campaign. Leads on their
 * way keep their place: behind the step they took last, or behind the one before it if that is not among them any more.
 * @param before the steps as they were numbered, one that was deleted among them
 */
export async function renumberSteps(
  tx: Queryable,
  campaignId: string,
  stepIds: readonly string[],
  before: readonly { id: string; stepOrder: number }[],
): Promise<void> {
  const values = [currentTenant(), campaignId]
  await tx.query(MOVE_AWAY, values)
  await tx.query(MOVE_BACK, [...values, stepIds])
  const moved = placesAfter(stepIds, before).filter(({ from, to }) => from !== to)
  if (moved.length === 0) return
  await tx.query(MOVE_LEADS, [...values, moved.map(({ from }) => from), moved.map(({ to }) => to)])
}

function placesAfter(stepIds: readonly string[], before: readonly { id: string; stepOrder: number }[]) {
  let previous = 0
  return before.map(({ id, stepOrder: from }) => {
    const to = stepIds.indexOf(id) + 1 || previous
    previous = to
    return { from, to }
  })
}
