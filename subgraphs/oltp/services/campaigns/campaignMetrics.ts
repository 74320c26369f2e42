import type { CampaignFiguresInput } from '#graphql/oltp'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import type { Database } from '../../database.ts'
import type { MetricsRow } from '../rows.ts'

/** The projected figures of each campaign, in the order asked; null where there is none yet. */
export async function batchMetrics(db: Database, campaignIds: readonly string[]): Promise<(MetricsRow | null)[]> {
  const rows = await db.tenant.campaignMetric.findMany({ where: { campaignId: { in: [...campaignIds] } } })
  const byCampaign = new Map(rows.map((row) => [row.campaignId, row]))
  return campaignIds.map((id) => byCampaign.get(id) ?? null)
}

const MAX_FIGURES = 1_000

// What two workers read at about the same time is written in either order; the rows are locked in one. A mail that was
// answered by several, or before its delivery was known, makes no rate above 1.
const PROJECT = `
  WITH news AS (
    SELECT v.*, least(1, v.replied::float8 / nullif(v.delivered, 0)) AS rate
    FROM jsonb_to_recordset($2::jsonb) AS v ("campaignId" uuid, version bigint, sent int, delivered int, opened int,
      clicked int, replied int, bounced int, unsubscribed int, complained int, "asOf" timestamptz)
  ), held AS MATERIALIZED (
    SELECT m.campaign_id FROM campaign_metrics m JOIN news v ON v."campaignId" = m.campaign_id
    WHERE m.tenant_id = $1 AND m.version < v.version ORDER BY m.campaign_id FOR NO KEY UPDATE OF m
  )
  UPDATE campaign_metrics m
  SET version = v.version, sent = v.sent, delivered = v.delivered, opened = v.opened, clicked = v.clicked,
      replied = v.replied, bounced = v.bounced, unsubscribed = v.unsubscribed, complained = v.complained,
      reply_rate = v.rate, as_of_at = greatest(m.as_of_at, v."asOf")
  FROM held JOIN news v ON v."campaignId" = held.campaign_id
  WHERE m.tenant_id = $1 AND m.campaign_id = held.campaign_id`

/**
 * Writes figures beside the campaigns of the tenant in scope, but for older ones than are there; answers how many.
 * @throws AppError LIMIT_REACHED above 1000; INVALID_INPUT for an id that is none
 */
export async function projectMetrics(db: Database, figures: readonly CampaignFiguresInput[]): Promise<number> {
  if (figures.length > MAX_FIGURES) throw new AppError('LIMIT_REACHED', `figures: at most ${MAX_FIGURES} at a time`)
  const rows = figures.map(({ campaignId, version, ...counts }) => ({
    ...counts,
    campaignId: readId(campaignId, 'campaignId'),
    version: String(version),
  }))
  const statement = { name: 'project_campaign_metrics', text: PROJECT }
  const { rowCount } = await db.tenantSql.query(statement, [currentTenant(), JSON.stringify(rows)])
  return rowCount ?? 0
}
