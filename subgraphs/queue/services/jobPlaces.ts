import type { Queryable } from '#platform/database/tenantPool.ts'
import type { Sql } from '../engine/sql.ts'
import type { JobRow } from './rows.ts'

/**
 * Tenants that have jobs, as a CTE: one look into the primary key for each, however many jobs there are. No index serves
 * jobs over all tenants, since each would cost the engine on every job; staff's reads go through the tenants instead.
 */
export const TENANTS_WITH_JOBS = `
  RECURSIVE tenant AS (
    (SELECT tenant_id FROM jobs ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT j.tenant_id FROM jobs j WHERE j.tenant_id > t.tenant_id ORDER BY j.tenant_id LIMIT 1)
    FROM tenant t WHERE t.tenant_id IS NOT NULL
  )`

// The limit says what the ids cannot: each tenant is one look into the index, never a join with the whole table.
const FIND_TENANTS = `
  WITH ${TENANTS_WITH_JOBS}
  SELECT p.tenant_id, p.id FROM tenant t CROSS JOIN LATERAL (
    SELECT j.tenant_id, j.id FROM jobs j WHERE j.tenant_id = t.tenant_id AND j.id = ANY($1) LIMIT cardinality($1::uuid[])
  ) p`

/** Whose these jobs are, for staff, who know no tenant; ids that are no job's are left out. */
export async function findTenantsOfJobs(sql: Queryable | Sql, ids: readonly string[]) {
  const { rows } = await sql.query<{ tenant_id: string; id: string }>(FIND_TENANTS, [[...ids]])
  return rows.map(({ tenant_id, id }) => ({ tenantId: tenant_id, id }))
}

const FIND_PLACE = `
  SELECT tenant_id AS "tenantId", queue_name AS "queueName", status FROM jobs WHERE tenant_id = $1 AND id = $2`

/** Where a job stands, of one tenant or with null of any; undefined when there is none. */
export async function findJobPlace(sql: Sql, tenantId: string | null, id: string) {
  const owner = tenantId ?? (await findTenantsOfJobs(sql, [id]))[0]?.tenantId
  if (owner === undefined) return undefined
  type Place = Pick<JobRow, 'tenantId' | 'queueName' | 'status'>
  return (await sql.query<Place>(FIND_PLACE, [owner, id])).rows[0]
}
