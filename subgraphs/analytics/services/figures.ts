import type { TenantPool } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { asInt, CAMPAIGN_FACTS, selectFacts } from './aggregates.ts'
import { AS_OF } from './watermarks.ts'

/** What a campaign has come to; the version tells the later of two readings. Opened and clicked are by people. */
export type Figures = {
  campaignId: string
  version: bigint
  sent: number
  delivered: number
  opened: number
  clicked: number
  replied: number
  bounced: number
  unsubscribed: number
  complained: number
  asOf: Date
}

const MAX_CAMPAIGNS = 1_000

const COLUMNS = {
  sent: 'sent',
  delivered: 'delivered',
  opened: 'opened_by_person',
  clicked: 'clicked_tracked',
  replied: 'replied',
  bounced: 'bounced',
  unsubscribed: 'unsubscribed',
  complained: 'spam_complaints',
}

const SUMS = Object.entries(COLUMNS).map(([name, column]) => `${asInt(`sum(f.${column})`)} AS "${name}"`)

// Whoever sees more transactions has the larger xmax.
const FIGURES = `
  SELECT f.${CAMPAIGN_FACTS.entity} AS "campaignId", pg_snapshot_xmax(pg_current_snapshot())::text AS version,
    ${SUMS.join(', ')}, ${AS_OF} AS "asOf"
  FROM ${CAMPAIGN_FACTS.table} f WHERE f.tenant_id = $1 AND f.${CAMPAIGN_FACTS.entity} = ANY($2::uuid[]) GROUP BY 1`

/**
 * Figures of campaigns of the tenant in scope that have any, in no order.
 * @param ids UUIDs
 * @throws AppError LIMIT_REACHED for more than 1000
 */
export async function findFigures(sql: TenantPool, ids: readonly string[]): Promise<Figures[]> {
  if (ids.length > MAX_CAMPAIGNS) throw new AppError('LIMIT_REACHED', `campaignIds: at most ${MAX_CAMPAIGNS} at a time`)
  const rows = await selectFacts<Omit<Figures, 'version'> & { version: string }>(sql, FIGURES, [currentTenant(), ids])
  return rows.map(({ version, ...figures }) => ({ ...figures, version: BigInt(version) }))
}
