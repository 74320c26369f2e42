import type { HeldJob } from './job.ts'
import type { Sql } from './sql.ts'

export type CompletedJob = HeldJob & { result?: unknown; durationMs: number }

export type FailedJob = HeldJob & {
  message: string
  /** Name and code of the error; never a stack, it is shown to the tenant. */
  details: Record<string, unknown>
  /** Letters of one cause share it. */
  fingerprint: string
  /** No further attempt can help. */
  permanent: boolean
  /** When the task knows better than the queue's backoff; milliseconds. */
  retryAfterMs?: number | null
  durationMs: number
}

/** A job that could not be tried: nobody's fault, so the attempt does not count. */
export type PostponedJob = HeldJob & { delayMs: number; reason?: string | null }

// Locking the lease first fences: once it was taken away there is no row to lock, and nothing below happens. It also
// keeps one order of locks, lease then jobs, with the reaper. A job under a lease is in work, by a constraint: saying so
// again would lead the planner to the index of leases, and through the whole lease for each of its jobs.
const HELD = `held AS MATERIALIZED (SELECT id FROM worker_leases WHERE id = ANY($1) ORDER BY id FOR UPDATE)`

const COMPLETE = `
  WITH ${HELD}, done AS (
    SELECT * FROM jsonb_to_recordset($2::jsonb)
      AS d("tenantId" uuid, id uuid, "leaseId" uuid, result jsonb, "durationMs" float8)
  ), settled AS (
    UPDATE jobs j
    SET status = 'completed', completed_at = clock_timestamp(), lease_id = NULL, result = d.result,
        progress_percentage = 100, last_error_message = NULL, error_details = NULL
    FROM done d JOIN held h ON h.id = d."leaseId"
    WHERE j.tenant_id = d."tenantId" AND j.id = d.id AND j.lease_id = h.id
    RETURNING j.tenant_id, j.id, j.attempt_count, d."durationMs"
  ), logged AS (
    INSERT INTO job_logs (tenant_id, job_id, attempt_number, log_level, message, duration_ms)
    SELECT tenant_id, id, attempt_count, 'info', 'completed', "durationMs" FROM settled
  )
  SELECT id FROM settled`

// Waits base × multiplier^(attempts - 1), at most an hour, give or take a quarter so that failures don't return in step.
const FAIL = `
  WITH ${HELD}, failure AS (
    SELECT * FROM jsonb_to_recordset($2::jsonb) AS f("tenantId" uuid, id uuid, "leaseId" uuid, message text,
      details jsonb, fingerprint text, permanent boolean, "retryAfterMs" float8, "durationMs" float8)
  ), settled AS (
    UPDATE jobs j
    SET status = v.status, lease_id = NULL, last_error_message = f.message, error_details = f.details,
        failed_at = CASE v.status WHEN 'failed' THEN clock_timestamp() END,
        run_at = CASE v.status WHEN 'failed' THEN j.run_at ELSE clock_timestamp() + interval '1 millisecond'
          * coalesce(f."retryAfterMs", (0.75 + random() / 2)
              * least(3600000, q.backoff_base_ms * power(q.backoff_multiplier, least(j.attempt_count - 1, 60)))) END
    FROM failure f JOIN held h ON h.id = f."leaseId"
    JOIN jobs current ON current.tenant_id = f."tenantId" AND current.id = f.id
    JOIN job_queues q ON q.name = current.queue_name
    CROSS JOIN LATERAL (SELECT CASE WHEN f.permanent OR current.attempt_count >= current.max_attempts
      THEN 'failed' ELSE 'queued' END AS status) v
    WHERE j.tenant_id = f."tenantId" AND j.id = f.id AND j.lease_id = h.id
    RETURNING j.*, f.fingerprint, f."durationMs"
  ), logged AS (
    INSERT INTO job_logs (tenant_id, job_id, attempt_number, log_level, message, context, duration_ms)
    SELECT tenant_id, id, attempt_count, CASE status WHEN 'failed' THEN 'error' ELSE 'warning' END,
      last_error_message, error_details, "durationMs"
    FROM settled
  ), buried AS (
    INSERT INTO dead_letter_jobs (tenant_id, id, job_id, queue_name, job_type, payload, final_attempt, failure_reason,
      error_details, error_fingerprint, accepted_at)
    SELECT tenant_id, gen_random_uuid(), id, queue_name, job_type, payload, attempt_count, last_error_message,
      error_details, fingerprint, accepted_at
    FROM settled WHERE status = 'failed'
  )
  SELECT id, status = 'failed' AS dead FROM settled`

const POSTPONE = `
  WITH ${HELD}, postponed AS (
    SELECT * FROM jsonb_to_recordset($2::jsonb)
      AS p("tenantId" uuid, id uuid, "leaseId" uuid, "delayMs" float8, reason text)
  )
  UPDATE jobs j
  SET status = 'queued', lease_id = NULL, attempt_count = greatest(0, j.attempt_count - 1),
      run_at = clock_timestamp() + p."delayMs" * interval '1 millisecond',
      last_error_message = coalesce(p.reason, j.last_error_message)
  FROM postponed p JOIN held h ON h.id = p."leaseId"
  WHERE j.tenant_id = p."tenantId" AND j.id = p.id AND j.lease_id = h.id
  RETURNING j.id`

/**
 * Marks jobs as done, each with its line in the log. Answers the ids that were still held: for the others the lease was
 * lost meanwhile, someone else has them or will, and nothing was changed.
 */
export async function completeJobs(sql: Sql, jobs: readonly CompletedJob[]): Promise<Set<string>> {
  const { rows } = await sql.query<{ id: string }>(COMPLETE, parameters(jobs))
  return new Set(rows.map(({ id }) => id))
}

/**
 * Counts attempts as failed. A job with attempts left waits in its queue, ever longer; one without, or one that failed
 * for good, becomes a dead letter in the same statement. Answers which became dead letters; lost jobs as above.
 */
export async function failJobs(sql: Sql, jobs: readonly FailedJob[]): Promise<Map<string, { dead: boolean }>> {
  const { rows } = await sql.query<{ id: string; dead: boolean }>(FAIL, parameters(jobs))
  return new Map(rows.map(({ id, dead }) => [id, { dead }]))
}

/** Puts jobs back without counting the attempt. Answers the ids that were still held. */
export async function postponeJobs(sql: Sql, jobs: readonly PostponedJob[]): Promise<Set<string>> {
  const { rows } = await sql.query<{ id: string }>(POSTPONE, parameters(jobs))
  return new Set(rows.map(({ id }) => id))
}

function parameters(jobs: readonly HeldJob[]): unknown[] {
  return [[...new Set(jobs.map(({ leaseId }) => leaseId))], JSON.stringify(jobs)]
}
