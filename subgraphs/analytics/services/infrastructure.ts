import type { TenantPool } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { selectFacts } from './aggregates.ts'
import { type HistoryDay, type HistoryTable, latest, listHistory } from './dailyHistory.ts'
import type { Days } from './days.ts'

export type InfrastructureKind = 'domain' | 'smtp_ip_address' | 'vps_instance'
type InfrastructureDay = HistoryDay & { loadPercentage: number | null }
export type Infrastructure = {
  id: string
  kind: InfrastructureKind
  sent: number
  delivered: number
  bounced: number
  spamComplaints: number
  loadPercentage: number | null
  healthScore: number | null
  history: InfrastructureDay[]
  asOf: Date
}

const MOST_LISTED = 100
const INT_MAX = 2_147_483_647

function daysOf(kind: InfrastructureKind): HistoryTable {
  return {
    table: 'infrastructure_analytics',
    entity: 'entity_id',
    columns: 'f.load_percentage AS "loadPercentage"',
    where: `f.entity_type = '${kind}'`,
  }
}

/**
 * Facts of each domain, address or server, as the tenant in scope has them: the platform tenant all mail through it,
 * its load and its health; any other tenant its own mail alone. ids: UUIDs, lower case.
 */
export async function listInfrastructure(
  sql: TenantPool,
  kind: InfrastructureKind,
  ids: readonly string[],
  days: Days,
): Promise<Map<string, Infrastructure>> {
  const histories = await listHistory<InfrastructureDay>(sql, daysOf(kind), ids, days)
  return new Map(
    [...histories].map(([id, { days: history, asOf }]) => [
      id,
      {
        id,
        kind,
        sent: total(history, 'sent'),
        delivered: total(history, 'delivered'),
        bounced: total(history, 'bounced'),
        spamComplaints: total(history, 'spamComplaints'),
        loadPercentage: latest(history, 'loadPercentage'),
        healthScore: latest(history, 'healthScore'),
        history,
        asOf,
      },
    ]),
  )
}

/** Ids of the entities of a kind that sent most in these days, at most 100. */
export async function findBusiest(sql: TenantPool, kind: InfrastructureKind, days: Days): Promise<string[]> {
  const rows = await selectFacts<{ id: string }>(
    sql,
    `SELECT entity_id AS id FROM infrastructure_analytics
     WHERE tenant_id = $1 AND entity_type = $2 AND local_day >= $3 AND local_day < $4
     GROUP BY 1 ORDER BY sum(sent) DESC, 1 LIMIT ${MOST_LISTED}`,
    [currentTenant(), kind, days.from, days.until],
  )
  return rows.map(({ id }) => id)
}

function total(days: readonly InfrastructureDay[], counter: 'sent' | 'delivered' | 'bounced' | 'spamComplaints') {
  return Math.min(
    INT_MAX,
    days.reduce((sum, day) => sum + day[counter], 0),
  )
}
