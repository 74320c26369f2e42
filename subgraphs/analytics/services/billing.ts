import type { TenantPool } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { asInt, selectFacts } from './aggregates.ts'
import { AS_OF } from './watermarks.ts'

export type Usage = {
  periodStartAt: Date
  periodEndAt: Date
  emailsSent: number
  mailboxesUsed: number
  domainsUsed: number
  campaignsUsed: number
  leadsUsed: number
  warmupsActive: number
  storageBytes: bigint
  subscriptionId: string | null
  asOf: Date
}
type UsageRow = Omit<Usage, 'storageBytes'> & { storageBytes: string }

const RECORDED = `
  SELECT period_start_at AS "periodStartAt", period_end_at AS "periodEndAt", ${asInt('emails_sent')} AS "emailsSent",
    mailboxes_used AS "mailboxesUsed", domains_used AS "domainsUsed", campaigns_used AS "campaignsUsed",
    leads_used AS "leadsUsed", warmups_active AS "warmupsActive", storage_bytes AS "storageBytes",
    subscription_id AS "subscriptionId", ${AS_OF} AS "asOf"
  FROM billing_analytics WHERE tenant_id = $1`

/** What the calendar months so far used, by the facts: each figure is one look into one table's (tenant, day) index. */
const BY_MONTH = `
  SELECT month AS "periodStartAt", month + interval '1 month' AS "periodEndAt",
    ${asInt(`(SELECT sum(f.sent) ${during('mailbox_analytics')})`)} AS "emailsSent",
    (SELECT count(DISTINCT f.email_account_id)::int ${during('mailbox_analytics')}) AS "mailboxesUsed",
    (SELECT count(DISTINCT f.entity_id)::int ${during('infrastructure_analytics')}
       AND f.entity_type = 'domain') AS "domainsUsed",
    (SELECT count(DISTINCT f.campaign_id)::int ${during('campaign_analytics')}) AS "campaignsUsed",
    (SELECT count(DISTINCT f.lead_id)::int ${during('lead_analytics')}) AS "leadsUsed",
    (SELECT count(DISTINCT f.email_account_id)::int ${during('warmup_analytics')}) AS "warmupsActive",
    0::bigint AS "storageBytes", NULL::uuid AS "subscriptionId", ${AS_OF} AS "asOf"
  FROM generate_series(date_trunc('month', now()) - make_interval(months => $2::int - 1), date_trunc('month', now()),
                       interval '1 month') AS month
  ORDER BY month DESC`

/** What the current billing period used; where billing recorded none, the calendar month by the facts. */
export async function getUsage(sql: TenantPool): Promise<Usage> {
  const current = `${RECORDED} AND period_start_at <= now() AND period_end_at > now()
    ORDER BY period_start_at DESC LIMIT 1`
  const [recorded] = await selectFacts<UsageRow>(sql, current, [currentTenant()])
  const [usage] = recorded ? [recorded] : await selectFacts<UsageRow>(sql, BY_MONTH, [currentTenant(), 1])
  return readUsage(usage as UsageRow)
}

/** The last billing periods, newest first; where billing recorded none, the calendar months by the facts. */
export async function listUsage(sql: TenantPool, months: number): Promise<Usage[]> {
  const last = `${RECORDED} ORDER BY period_start_at DESC LIMIT $2`
  const recorded = await selectFacts<UsageRow>(sql, last, [currentTenant(), months])
  const usage = recorded.length > 0 ? recorded : await selectFacts<UsageRow>(sql, BY_MONTH, [currentTenant(), months])
  return usage.map(readUsage)
}

function during(table: string): string {
  return `FROM ${table} f WHERE f.tenant_id = $1 AND f.sent > 0
    AND f.local_day >= month::date AND f.local_day < (month + interval '1 month')::date`
}

function readUsage(row: UsageRow): Usage {
  return { ...row, storageBytes: BigInt(row.storageBytes) }
}
