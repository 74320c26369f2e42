import { forgetWorkers } from './registry.ts'
import type { Sql } from './sql.ts'

const WORKERS_KEPT_DAYS = 7

const EXPIRE = `
  UPDATE jobs SET status = 'expired' WHERE (tenant_id, id) IN (
    SELECT tenant_id, id FROM jobs WHERE status = 'queued' AND expires_at <= clock_timestamp()
    LIMIT 1000 FOR UPDATE SKIP LOCKED)`

/** Takes jobs out of their queues that nobody ran in time. Answers how many. */
export async function expireJobs(sql: Sql): Promise<number> {
  return (await sql.query(EXPIRE)).rowCount ?? 0
}

/** What must happen now and then, by whichever worker: partitions for the months to come, workers long gone forgotten. */
export async function keepHouse(sql: Sql): Promise<void> {
  await sql.query(`SELECT ensure_month_partitions('job_logs', 0, 3)`)
  await forgetWorkers(sql, WORKERS_KEPT_DAYS)
}
