import { PLATFORM_TENANT, runAsTenant } from '#platform/database/tenantScope.ts'
import type { Database } from '../../subgraphs/oltp/database.ts'

/** Tables that grow with a tenant's mail and leads: what nothing may read whole for a page. */
const BIG = `(relname LIKE 'inbox\\_message\\_refs%' OR relname IN ('conversations', 'campaigns', 'campaign_enrollments',
  'campaign_metrics', 'leads', 'suppressions', 'templates', 'smtp_ip_addresses'))`

export type Readings = {
  /** Scans of a whole table or partition. */
  scans: number
  /** Entries read from indexes. */
  read: number
  /** Scans of each index; partitions' by the name without their number. */
  indexes: Map<string, number>
}

/**
 * What the big tables have been asked so far, as PostgreSQL counts it. Both pools must have one connection each: what a
 * connection has done counts when it says so.
 */
export async function readings(db: Database, tenantId: string | null): Promise<Readings> {
  await runAsTenant(tenantId ?? PLATFORM_TENANT, () => db.tenantSql.query('SELECT pg_stat_force_next_flush()'))
  await db.systemSql.query('SELECT pg_stat_force_next_flush()')
  const scanned = await db.systemSql.query<{ scans: number }>(
    `SELECT sum(seq_scan)::int AS scans FROM pg_stat_user_tables WHERE ${BIG}`,
  )
  const { rows } = await db.systemSql.query<{ name: string; scans: number; read: number }>(
    `SELECT regexp_replace(indexrelname, '_p\\d+_', '_') AS name, sum(idx_scan)::int AS scans, sum(idx_tup_read)::int AS read
     FROM pg_stat_user_indexes WHERE ${BIG} GROUP BY 1`,
  )
  return {
    scans: scanned.rows[0]?.scans ?? 0,
    read: rows.reduce((sum, { read }) => sum + read, 0),
    indexes: new Map(rows.map(({ name, scans }) => [name, scans])),
  }
}

/** What was asked between two readings. */
export function between(before: Readings, after: Readings): { scans: number; read: number; indexes: string[] } {
  const used = [...after.indexes].filter(([name, scans]) => scans > (before.indexes.get(name) ?? 0))
  return { scans: after.scans - before.scans, read: after.read - before.read, indexes: used.map(([name]) => name) }
}
