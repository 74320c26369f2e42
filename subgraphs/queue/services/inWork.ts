import type { Queryable } from '#platform/database/tenantPool.ts'

/** A job in work, and since when. No row of the jobs table says so: a claim writes its lease only. */
export type InWork = { id: string; startedAt: Date }

/** Where to ask: as a tenant, or over all tenants. */
type Asker = { tenantId: string | null; sql: Queryable }

/** Which of these jobs, none of which has an outcome, a worker holds; by id. */
export async function findHeldJobs({ tenantId, sql }: Asker, ids: readonly string[]): Promise<Map<string, InWork>> {
  if (ids.length === 0) return new Map()
  const held = tenantId === null ? 'held_jobs(NULL, $1)' : 'my_held_jobs($1)'
  const { rows } = await sql.query<InWork>(`SELECT id, started_at AS "startedAt" FROM ${held}`, [ids])
  return new Map(rows.map((row) => [row.id, row]))
}

const MOST_LISTED = 10_000

/** Ids of jobs in work, at most 10,000. */
export async function findJobsInWork({ tenantId, sql }: Asker): Promise<string[]> {
  const { rows } = await sql.query<{ id: string }>(`SELECT id FROM ${inWorkSource(tenantId)} LIMIT ${MOST_LISTED}`)
  return rows.map(({ id }) => id)
}

/** What to select jobs in work from: (tenant_id, id, queue_name, started_at). */
export function inWorkSource(tenantId: string | null): string {
  return tenantId === null ? 'jobs_in_work(NULL)' : 'my_jobs_in_work()'
}
