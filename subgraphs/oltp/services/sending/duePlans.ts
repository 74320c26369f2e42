import type pg from 'pg'
import { now } from '#platform/clock.ts'
import { appendOutbox } from '#platform/outbox/append.ts'
import type { Context } from '../../context.ts'
import { planDue } from './agenda.ts'

/** Campaigns announced in one call, the longest due first. */
const MAX_ANNOUNCED = 1_000

const DUE = `
  SELECT tenant_id AS "tenantId", campaign_id AS "campaignId" FROM campaign_agenda
  WHERE next_plan_at <= $1 ORDER BY next_plan_at LIMIT $2`

/**
 * Announces every campaign, of all tenants, that the planner should have looked at by now. Those whose plan is under way
 * are announced again to no effect. Answers how many were due.
 */
export async function announceDuePlans({ db, relay, requestId, log }: Context): Promise<number> {
  const due = await findDue(db.systemSql, now())
  await appendOutbox(
    db.systemSql,
    due.map(({ tenantId, campaignId }) => planDue(tenantId, campaignId, requestId)),
  )
  if (due.length > 0) {
    relay.wake()
    log.debug({ campaigns: due.length }, 'campaigns are to be planned')
  }
  return due.length
}

async function findDue(systemSql: pg.Pool, at: Date): Promise<{ tenantId: string; campaignId: string }[]> {
  return (await systemSql.query<{ tenantId: string; campaignId: string }>(DUE, [at, MAX_ANNOUNCED])).rows
}
