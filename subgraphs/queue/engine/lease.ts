import type { Sql } from './sql.ts'

// Whoever waits for several leases locks them in the order of their ids: none deadlock.
const LOCKED = 'SELECT id FROM worker_leases WHERE id = ANY($1) ORDER BY id FOR UPDATE'

const EXTEND = `
  UPDATE worker_leases SET heartbeat_at = clock_timestamp(), expires_at = clock_timestamp() + $2 * interval '1 millisecond'
  WHERE id IN (${LOCKED}) RETURNING id`

const END = `DELETE FROM worker_leases WHERE id IN (${LOCKED})`

// A heartbeat or an acknowledgement under way holds the lease row: skip it, it is alive. Attempts are counted when they
// end, and this is the end of one; a job that has none left is given up like any other that failed. What the lease says
// has not begun had none: it waits as before, unless somebody wanted it stopped.
const REAP = `
  WITH expired AS (
    DELETE FROM worker_leases WHERE id IN (
      SELECT id FROM worker_leases WHERE expires_at < clock_timestamp()
      ORDER BY expires_at LIMIT 100 FOR UPDATE SKIP LOCKED)
    RETURNING id, queue_name, created_at, tenant_ids, job_ids, coalesce(unbegun, '{}') AS unbegun
  ), stopped AS (
    UPDATE jobs j SET status = 'cancelled', updated_at = clock_timestamp()
    FROM expired e CROSS JOIN LATERAL unnest(e.tenant_ids, e.job_ids) WITH ORDINALITY AS h (tenant_id, id, place)
    WHERE h.place = ANY (e.unbegun) AND j.tenant_id = h.tenant_id AND j.id = h.id AND j.status = 'queued'
      AND j.cancel_requested_at IS NOT NULL
  ), lost AS (
    UPDATE jobs j
    SET attempt_count = j.attempt_count + 1, started_at = h.created_at, updated_at = clock_timestamp(),
        status = CASE WHEN j.cancel_requested_at IS NOT NULL THEN 'cancelled'
          WHEN j.attempt_count + 1 >= j.max_attempts THEN 'failed' ELSE 'queued' END,
        failed_at = CASE WHEN j.cancel_requested_at IS NULL AND j.attempt_count + 1 >= j.max_attempts
          THEN clock_timestamp() END,
        last_error_message = $1, error_details = '{"name": "LeaseExpired"}'
    FROM (SELECT e.created_at, h.* FROM expired e
          CROSS JOIN LATERAL unnest(e.tenant_ids, e.job_ids) WITH ORDINALITY AS h (tenant_id, id, place)
          WHERE h.place <> ALL (e.unbegun)) AS h
    WHERE j.tenant_id = h.tenant_id AND j.id = h.id AND j.status = 'queued'
    RETURNING j.*
  ), logged AS (
    INSERT INTO job_logs (tenant_id, job_id, attempt_number, log_level, message, duration_ms)
    SELECT tenant_id, id, attempt_count, CASE status WHEN 'failed' THEN 'error' ELSE 'warning' END, $1,
      least(2147483647, extract(epoch FROM clock_timestamp() - started_at) * 1000)
    FROM lost
  ), buried AS (
    INSERT INTO dead_letter_jobs (tenant_id, id, job_id, queue_name, job_type, payload, final_attempt, failure_reason,
      error_details, error_fingerprint, accepted_at)
    SELECT tenant_id, gen_random_uuid(), id, queue_name, job_type, payload, attempt_count, $1, error_details,
      'lease-expired', accepted_at
    FROM lost WHERE status = 'failed'
  )
  SELECT (SELECT count(*)::int FROM expired) AS leases,
    ARRAY (SELECT queue_name::text FROM lost WHERE status = 'queued'
           UNION SELECT queue_name FROM expired WHERE unbegun <> '{}') AS "readyQueues"`

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
 * Takes away leases that were not renewed in time and returns their jobs to their queues: those that may have begun with an
 * attempt less, those out of attempts as dead letters. Whoever held them can no longer acknowledge anything. Answers the queues that have work again.
 * Call it through `Reaper`, which knows when not to.
 */
export async function reapLeases(sql: Sql): Promise<{ leases: number; readyQueues: string[] }> {
  const { rows } = await sql.query<{ leases: number; readyQueues: string[] }>(REAP, [LOST])
  return rows[0] ?? { leases: 0, readyQueues: [] }
}
