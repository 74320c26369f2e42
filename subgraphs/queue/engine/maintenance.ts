import type pg from 'pg'
import { forgetWorkers } from './registry.ts'
import { inTransaction, type Sql } from './sql.ts'

const WORKERS_KEPT_DAYS = 7
const MOST_STEPS = 200

const FIND_LATE = `
  SELECT DISTINCT queue_name AS name FROM jobs WHERE status = 'queued' AND expires_at <= (SELECT clock_timestamp())`

const LOCK_QUEUE = 'SELECT lock_queue($1)'

// A job in work runs on: whoever began it in time may finish it. Under the queue's lock, since a claim that is not through
// yet may have taken it.
const EXPIRE = `
  WITH late AS (
    SELECT j.tenant_id, j.id FROM jobs j
    WHERE j.status = 'queued' AND j.expires_at <= (SELECT clock_timestamp()) AND j.queue_name = $1
      AND j.id NOT IN (SELECT unnest(job_ids) FROM worker_leases WHERE queue_name = $1)
    LIMIT 1000 FOR UPDATE SKIP LOCKED)
  UPDATE jobs j SET status = 'expired', updated_at = clock_timestamp() FROM late
  WHERE j.tenant_id = late.tenant_id AND j.id = late.id`

const LOGS_KEPT_DAYS = 35
const RECEIPTS_KEPT_DAYS = 90

// A few thousand at a time: a long transaction would keep dead rows alive in every table.
const REMOVE_COMPLETED = `
  DELETE FROM jobs j USING (
    SELECT o.tenant_id, o.id FROM jobs o JOIN job_queues q ON q.name = o.queue_name
    WHERE o.created_at < (SELECT clock_timestamp() - min(keep_completed_hours) * interval '1 hour' FROM job_queues)
      AND o.status IN ('completed', 'cancelled', 'expired')
      AND coalesce(o.completed_at, o.updated_at) < clock_timestamp() - q.keep_completed_hours * interval '1 hour'
    LIMIT 5000) AS old
  WHERE j.tenant_id = old.tenant_id AND j.id = old.id AND j.status IN ('completed', 'cancelled', 'expired')`

const REMOVE_LOGS = `
  DELETE FROM job_logs l USING (
    SELECT tenant_id, job_id, created_at, id FROM job_logs
    WHERE created_at < (SELECT clock_timestamp() - $1 * interval '1 day') LIMIT 5000) AS old
  WHERE l.tenant_id = old.tenant_id AND l.job_id = old.job_id AND l.created_at = old.created_at AND l.id = old.id`

const REMOVE_RECEIPTS = `
  DELETE FROM enqueue_receipts r USING (
    SELECT tenant_id, source, key FROM enqueue_receipts
    WHERE created_at < (SELECT clock_timestamp() - $1 * interval '1 day') LIMIT 5000) AS old
  WHERE r.tenant_id = old.tenant_id AND r.source = old.source AND r.key = old.key`

const REMOVE_FREE_KEYS = `
  DELETE FROM unique_job_keys WHERE expires_at < (SELECT clock_timestamp()) OR (expires_at IS NULL
    AND created_at < clock_timestamp() - interval '1 hour' AND NOT EXISTS (
      SELECT 1 FROM jobs j WHERE j.tenant_id = unique_job_keys.tenant_id AND j.id = unique_job_keys.job_id
        AND j.status = 'queued'))`

const REMOVE_FULL_BUCKETS = `DELETE FROM rate_buckets WHERE refilled_at < (SELECT clock_timestamp() - interval '1 hour')`

/** Takes jobs out of their queues that nobody ran in time, in steps. Answers how many. */
export async function expireJobs(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ name: string }>(FIND_LATE)
  let expired = 0
  for (const { name } of rows) {
    for (let step = 0, found = 1; found > 0 && step < MOST_STEPS; step++) {
      found = await inTransaction(pool, async (tx) => {
        await tx.query(LOCK_QUEUE, [name])
        return (await tx.query(EXPIRE, [name])).rowCount ?? 0
      })
      expired += found
    }
  }
  return expired
}

/**
 * What must happen now and then, by whichever worker: partitions for the months to come; and what is past its time
 * removed: jobs by their queue's policy, their logs, receipts, keys and buckets that nobody holds, workers long gone.
 */
export async function keepHouse(sql: Sql): Promise<void> {
  await sql.query(`SELECT ensure_month_partitions('job_logs', 0, 3)`)
  await forgetWorkers(sql, WORKERS_KEPT_DAYS)
  await removeAll(sql, REMOVE_COMPLETED)
  await removeAll(sql, REMOVE_LOGS, [LOGS_KEPT_DAYS])
  await removeAll(sql, REMOVE_RECEIPTS, [RECEIPTS_KEPT_DAYS])
  await sql.query(REMOVE_FREE_KEYS)
  await sql.query(REMOVE_FULL_BUCKETS)
}

/** Removes in steps until a step finds nothing; at most so many that the chore ends before it is due again. */
async function removeAll(sql: Sql, statement: string, values: unknown[] = []): Promise<void> {
  for (let step = 0; step < MOST_STEPS; step++) if (!(await sql.query(statement, values)).rowCount) return
}
