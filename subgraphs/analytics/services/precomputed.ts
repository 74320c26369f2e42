import type pg from 'pg'
import type { TenantPool } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { asInt, selectFacts } from './aggregates.ts'
import type { Health } from './mailboxes.ts'

/** Reads of the materialized views, each through its tenant's barrier view. `asOf` is of the last refresh. */

export type Performance = {
  id: string
  sent: number
  replied: number
  openRate: number
  clickRate: number
  replyRate: number
  bounceRate: number
  asOf: Date
}
export type Month = {
  month: string
  sent: number
  received: number
  replied: number
  bounced: number
  spamComplaints: number
  asOf: Date
}
export type PoolMember = {
  id: string
  sent: number
  bounceRate: number
  complaintRate: number
  loadPercentage: number | null
  asOf: Date
}

/** Campaigns that sent anything, by reply rate, best first. */
export function listTopCampaigns(sql: TenantPool, first: number): Promise<Performance[]> {
  return selectFacts(
    sql,
    `SELECT campaign_id AS id, ${asInt('sent')} AS sent, ${asInt('replied')} AS replied, open_rate AS "openRate",
       click_rate AS "clickRate", reply_rate AS "replyRate", bounce_rate AS "bounceRate", as_of AS "asOf"
     FROM campaign_performance WHERE tenant_id = $1 AND sent > 0
     ORDER BY reply_rate DESC, campaign_id DESC LIMIT $2`,
    [currentTenant(), first],
  )
}

/** Mailboxes that sent anything in the last 30 days, worst health first. */
export function listMailboxesAtRisk(sql: TenantPool, first: number): Promise<Health[]> {
  return selectFacts(
    sql,
    `SELECT email_account_id AS id, ${asInt('sent')} AS sent, bounce_rate AS "bounceRate",
       complaint_rate AS "complaintRate", reply_rate AS "replyRate", health_score AS "healthScore", as_of AS "asOf"
     FROM mailbox_health WHERE tenant_id = $1 AND health_score IS NOT NULL
     ORDER BY health_score, email_account_id LIMIT $2`,
    [currentTenant(), first],
  )
}

/** Local months with mail, newest first. */
export function listMonths(sql: TenantPool, months: number): Promise<Month[]> {
  return selectFacts(
    sql,
    `SELECT month::text, ${asInt('sent')} AS sent, ${asInt('received')} AS received, ${asInt('replied')} AS replied,
       ${asInt('bounced')} AS bounced, ${asInt('spam_complaints')} AS "spamComplaints", as_of AS "asOf"
     FROM tenant_month v WHERE tenant_id = $1 ORDER BY v.month DESC LIMIT $2`,
    [currentTenant(), months],
  )
}

/** Addresses of the pool, fullest first; empty for every tenant but the platform's. */
export function listPool(sql: TenantPool, first: number): Promise<PoolMember[]> {
  return selectFacts(
    sql,
    `SELECT smtp_ip_address_id AS id, ${asInt('sent')} AS sent, bounce_rate AS "bounceRate",
       complaint_rate AS "complaintRate", load_percentage AS "loadPercentage", as_of AS "asOf"
     FROM ip_pool v WHERE tenant_id = $1 ORDER BY load_percentage DESC NULLS LAST, v.sent DESC, 1 LIMIT $2`,
    [currentTenant(), first],
  )
}

// All tenants' facts are read: that may take longer than any one statement of a request should.
const REFRESH = `SET LOCAL statement_timeout = '100s'; SELECT refresh_analytics_views() AS counted_at`

/** Recomputes all materialized views, readers undisturbed. Answers the instant up to which they count. */
export async function refreshViews(systemSql: pg.Pool): Promise<Date> {
  // Two statements in one message, and so in one transaction, answer with two results.
  const results = (await systemSql.query(REFRESH)) as unknown as pg.QueryResult<{ counted_at: Date }>[]
  return results.flatMap(({ rows }) => rows).map((row) => row.counted_at)[0] as Date
}
