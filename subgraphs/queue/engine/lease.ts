import type pg from 'pg'
import { inTransaction, type Sql } from './sql.ts'

// Whoever waits for several leases locks them in the order of their ids, as acknowledgements do: none deadlock.
const LOCKED = 'SELECT id FROM worker_leases WHERE id = ANY($1) ORDER BY id FOR UPDATE'

const EXTEND = `
  UPDATE worker_leases SET heartbeat_at = clock_timestamp(), expires_at = clock_timestamp() + $2 * interval '1 millisecond'
  WHERE id IN (${LOCKED}) RETURNING id`

const END = `DELETE FROM worker_leases WHERE id IN (${LOCKED})`

// A heartbeat or an acknowledgement under way holds the lease row: skip it, it is alive.
const TAKE_EXPIRED = `
  DELETE FROM worker_leases WHERE id IN (
    SELECT id FROM worker_leases WHERE expires_at < clock_timestamp()
    ORDER BY expires_at LIMIT 100 FOR UPDATE SKIP LOCKED)
  RETURNING id`

// The attempt was counted when it began. A job that has none left is given up like any other that failed.
// The lease is compared again in the update: a job that was returned and claimed anew meanwhile is no orphan.
const RETURN_ORPHANS = `
  WITH orphan AS MATERIALIZED (
    SELECT tenant_id, id, lease_id FROM jobs j
    WHERE status = 'processing' AND NOT EXISTS (SELECT 1 FROM worker_leases l WHERE l.id = j.lease_id)
  ), lost AS (
    UPDATE jobs j
    SET status = CASE WHEN attempt_count >= max_attempts THEN 'failed' ELSE 'queued' END,
        failed_at = CASE WHEN attempt_count >= max_attempts THEN clock_timestamp() END,
        lease_id = NULL, last_error_message = $1, error_details = '{"name": "LeaseExpired"}'
    FROM orphan o
    WHERE j.tenant_id = o.tenant_id AND j.id = o.id AND j.lease_id = o.lease_id AND j.status = 'processing'
    RETURNING j.*
  ), logged AS (
    INSERT INTO job_logs (tenant_id, job_id, attempt_number, log_level, message, duration_ms)
    SELECT tenant_id, id, attempt_count, CASE status WHEN 'failed' THEN 'error' ELSE 'warning' END, $1,
      extract(epoch FROM clock_timestamp() - started_at) * 1000
    FROM lost
  ), buried AS (
    INSERT INTO dead_letter_jobs (tenant_id, id, job_id, queue_name, job_type, payload, final_attempt, failure_reason,
      error_details, error_fingerprint, accepted_at)
    SELECT tenant_id, gen_random_uuid(), id, queue_name, job_type, payload, attempt_count, $1, error_details,
      'lease-expired', accepted_at
    FROM lost WHERE status = 'failed'
  )
  SELECT DISTINCT queue_name FROM lost WHERE status = 'queued'`

const LOST = 'the worker that ran it was not heard of again'

/**
 * Renews leases and answers which are still held. One that expired but was not taken away yet is renewed too: an outage
 * that kept everyone from the database costs nobody their work. A worker names the leases it knows of: one that it
 * claimed without hearing of it must expire.
 */
export async function extendLeases(sql: Sql, leaseIds: readonly string[], leaseMs: number): Promise<Set<string>> {
  if (leaseIds.length === 0) return new Set()
  const { rows } = await sql.query<{ id: string }>(EXTEND, [leaseIds, leaseMs])
  return new Set(rows.map(({ id }) => id))
}

/** Ends leases whose jobs are all settled. */
export async function endLeases(sql: Sql, leaseIds: readonly string[]): Promise<void> {
  if (leaseIds.length > 0) await sql.query(END, [leaseIds])
}

/**
 * Takes away leases that were not renewed in time and returns their jobs to their queues; those out of attempts become
 * dead letters. Whoever held them can no longer acknowledge anything. Answers the queues that have work again.
 * Call it through `Reaper`, which knows when not to.
 */
export async function reapLeases(pool: pg.Pool): Promise<{ leases: number; readyQueues: string[] }> {
  return inTransaction(pool, async (tx) => {
    const { rowCount } = await tx.query(TAKE_EXPIRED)
    return { leases: rowCount ?? 0, readyQueues: rowCount ? await returnOrphans(tx) : [] }
  })
}

/** Returns jobs to their queues that are in work under a lease that is no more. Answers the queues that have work again. */
export async function returnOrphans(sql: Sql): Promise<string[]> {
  const { rows } = await sql.query<{ queue_name: string }>(RETURN_ORPHANS, [LOST])
  return rows.map(({ queue_name }) => queue_name)
}
