import { currentTenant, findCurrentTenant } from '#platform/database/tenantScope.ts'
import type { Database } from '../../database.ts'

/** How many leads a tenant has, by where they stand; `id` is the tenant's. */
export type LeadStatsRow = {
  id: string
  total: number
  new: number
  contacted: number
  replied: number
  bounced: number
  unsubscribed: number
  /** In a campaign that has not ended for them. */
  inCampaigns: number
  /** Addresses and domains that are not written to. */
  suppressions: number
}

const COUNT = `
  SELECT $1::uuid AS id, count(*)::int AS total,
    count(*) FILTER (WHERE status = 'new')::int AS new,
    count(*) FILTER (WHERE status = 'contacted')::int AS contacted,
    count(*) FILTER (WHERE status = 'replied')::int AS replied,
    count(*) FILTER (WHERE status = 'bounced')::int AS bounced,
    count(*) FILTER (WHERE status = 'unsubscribed')::int AS unsubscribed,
    (SELECT count(DISTINCT lead_id)::int FROM campaign_enrollments WHERE tenant_id = $1 AND status = 'active')
      AS "inCampaigns",
    (SELECT count(*)::int FROM suppressions WHERE tenant_id = $1) AS suppressions
  FROM leads WHERE tenant_id = $1 AND deleted_at IS NULL`

/** Counts the tenant's leads. */
export async function getLeadStats({ tenantSql }: Database): Promise<LeadStatsRow> {
  const { rows } = await tenantSql.query<LeadStatsRow>({ name: 'lead_stats', text: COUNT }, [currentTenant()])
  if (!rows[0]) throw new Error('counting leads answered nothing')
  return rows[0]
}

/** The figures of the tenant with this id: nobody's but one's own. */
export async function findLeadStats(db: Database, tenantId: string): Promise<LeadStatsRow | null> {
  return tenantId.toLowerCase() === findCurrentTenant() ? getLeadStats(db) : null
}
