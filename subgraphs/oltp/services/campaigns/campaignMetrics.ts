import type { Database } from '../../database.ts'
import type { MetricsRow } from '../rows.ts'

/** The projected figures of each campaign, in the order asked; null where there is none yet. */
export async function batchMetrics(db: Database, campaignIds: readonly string[]): Promise<(MetricsRow | null)[]> {
  const rows = await db.tenant.campaignMetric.findMany({ where: { campaignId: { in: [...campaignIds] } } })
  const byCampaign = new Map(rows.map((row) => [row.campaignId, row]))
  return campaignIds.map((id) => byCampaign.get(id) ?? null)
}
