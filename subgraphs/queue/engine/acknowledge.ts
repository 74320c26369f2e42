import { groupBy } from '#platform/grouping.ts'
import type { HeldJob } from './job.ts'
import type { Sql } from './sql.ts'

export type CompletedJob = HeldJob & { result?: unknown; durationMs: number; waitMs: number }

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
  waitMs: number
}

/** A job that could not be tried: nobody's fault, so the attempt does not count. */
export type PostponedJob = HeldJob & { delayMs: number; reason?: string | null }

/** A running job that a person stopped. */
export type CancelledJob = HeldJob & { durationMs: number; waitMs: number }

// Locking the lease first fences: once it was taken away there is no row to lock, and nothing below happens. It also keeps
// one order of locks, lease then jobs, with the reaper. Jobs are named by their place in the lease, whose arrays hold their
// ids: sending those for every job costs more than looking them up.
const LEASE = 'SELECT tenant_ids, job_ids FROM worker_leases WHERE id = $1 FOR UPDATE'
const WHOLE_LEASE = 'DELETE FROM worker_leases WHERE id = $1 RETURNING tenant_ids, job_ids'

// By what was settled, not by what was sent: an acknowledgement whose answer was lost is sent again.
const COUNT_DOWN = `
  counted AS (
    UPDATE worker_leases SET unsettled = unsettled - (SELECT count(*) FROM settled) WHERE id = $1
  )`

/** A job given back may be claimed anew while this lease lasts, so it is taken out of it. */
const COUNT_DOWN_AND_TAKE_OUT = `
  counted AS (
    UPDATE worker_leases SET unsettled = unsettled - (SELECT count(*) FROM settled), job_ids = ARRAY (
      SELECT CASE WHEN place IN (SELECT place FROM settled) THEN '00000000-0000-0000-0000-000000000000' ELSE id END
      FROM unnest(job_ids) WITH ORDINALITY AS h (id, place) ORDER BY place)
    WHERE id = $1
  )`

const HELD = `
  SELECT h.tenant_id, h.id, h.place::int
  FROM lease CROSS JOIN LATERAL unnest(lease.tenant_ids, lease.job_ids) WITH ORDINALITY AS h (tenant_id, id, place)`

/** Which places were settled; null for all of them, the usual case. */
const ANSWER = `
  SELECT CASE WHEN count(*) = $2::int THEN NULL ELSE coalesce(array_agg(place::int), '{}') END AS places
  FROM settled`

/**
 * Outcomes come in the order of the lease, null where there is none yet, so that they are laid beside its arrays: a join by
 * place would be a nested loop under the generic plan that a prepared statement gets.
 */
const complete = (lease: string, countDown: string) => `
  WITH lease AS (${lease}), settled AS (
    UPDATE jobs j
    SET status = 'completed', attempt_count = j.attempt_count + 1, completed_at = clock_timestamp(),
        started_at = clock_timestamp() - o.duration_ms * interval '1 millisecond', updated_at = clock_timestamp(),
        result = o.result::jsonb, progress_percentage = 100, last_error_message = NULL, error_details = NULL
    FROM lease CROSS JOIN LATERAL unnest(lease.tenant_ids, lease.job_ids, $3::int[], $4::int[], $5::text[])
      WITH ORDINALITY AS o (tenant_id, id, duration_ms, wait_ms, result, place)
    WHERE o.duration_ms IS NOT NULL AND j.tenant_id = o.tenant_id AND j.id = o.id AND j.status = 'queued'
    RETURNING j.tenant_id, j.id, o.place, j.attempt_count, o.duration_ms, o.wait_ms
  ), logged AS (
    INSERT INTO job_logs (tenant_id, job_id, attempt_number, log_level, message, duration_ms, wait_ms)
    SELECT tenant_id, id, attempt_count, 'info', 'completed', duration_ms, wait_ms FROM settled
  )${countDown}
  ${ANSWER}`

// Waits base × multiplier^(attempts - 1), at most an hour, give or take a quarter so that failures don't return in step.
// One that somebody wants stopped is not tried again.
const FAIL = `
  WITH lease AS (${LEASE}), failure AS (
    SELECT h.tenant_id, h.id, h.place, f.message, f.details, f.fingerprint, f.permanent, f."retryAfterMs", f."durationMs", f."waitMs"
    FROM (${HELD}) AS h
    JOIN jsonb_to_recordset($2::jsonb) AS f(position int, message text, details jsonb, fingerprint text, permanent boolean,
      "retryAfterMs" float8, "durationMs" int, "waitMs" int) ON f.position = h.place
  ), settled AS (
    UPDATE jobs j
    SET status = v.status, attempt_count = current.attempt_count + 1, last_error_message = f.message,
        error_details = f.details, updated_at = clock_timestamp(),
        started_at = clock_timestamp() - f."durationMs" * interval '1 millisecond',
        failed_at = CASE v.status WHEN 'failed' THEN clock_timestamp() END, is_due = v.status <> 'queued',
        run_at = CASE WHEN v.status <> 'queued' THEN j.run_at ELSE clock_timestamp() + interval '1 millisecond'
          * coalesce(f."retryAfterMs", (0.75 + random() / 2)
              * least(3600000, q.backoff_base_ms * power(q.backoff_multiplier, least(current.attempt_count, 60)))) END
    FROM failure f
    JOIN jobs current ON current.tenant_id = f.tenant_id AND current.id = f.id
    JOIN job_queues q ON q.name = current.queue_name
    CROSS JOIN LATERAL (SELECT CASE WHEN f.permanent OR current.attempt_count + 1 >= current.max_attempts
      THEN 'failed' WHEN current.cancel_requested_at IS NOT NULL THEN 'cancelled' ELSE 'queued' END AS status) v
    WHERE j.tenant_id = f.tenant_id AND j.id = f.id AND j.status = 'queued'
    RETURNING j.*, f.place, f.fingerprint, f."durationMs", f."waitMs"
  ), logged AS (
    INSERT INTO job_logs (tenant_id, job_id, attempt_number, log_level, message, context, duration_ms, wait_ms)
    SELECT tenant_id, id, attempt_count, CASE status WHEN 'failed' THEN 'error' ELSE 'warning' END,
      last_error_message, error_details, "durationMs", "waitMs"
    FROM settled
  ), buried AS (
    INSERT INTO dead_letter_jobs (tenant_id, id, job_id, queue_name, job_type, payload, final_attempt, failure_reason,
      error_details, error_fingerprint, accepted_at)
    SELECT tenant_id, gen_random_uuid(), id, queue_name, job_type, payload, attempt_count, last_error_message,
      error_details, fingerprint, accepted_at
    FROM settled WHERE status = 'failed'
  ), ${COUNT_DOWN_AND_TAKE_OUT}
  SELECT place, status = 'failed' AS dead FROM settled`

const POSTPONE = `
  WITH lease AS (${LEASE}), settled AS (
    UPDATE jobs j
    SET status = CASE WHEN j.cancel_requested_at IS NULL THEN 'queued' ELSE 'cancelled' END,
        run_at = CASE WHEN p."delayMs" > 0 THEN clock_timestamp() + p."delayMs" * interval '1 millisecond' ELSE j.run_at END,
        is_due = p."delayMs" <= 0, updated_at = clock_timestamp(), last_error_message = coalesce(p.reason, j.last_error_message)
    FROM (${HELD}) AS h
    JOIN jsonb_to_recordset($3::jsonb) AS p(position int, "delayMs" float8, reason text) ON p.position = h.place
    WHERE j.tenant_id = h.tenant_id AND j.id = h.id AND j.status = 'queued'
    RETURNING h.place
  ), ${COUNT_DOWN_AND_TAKE_OUT}
  ${ANSWER}`

const CANCEL = `
  WITH lease AS (${LEASE}), settled AS (
    UPDATE jobs j SET status = 'cancelled', attempt_count = j.attempt_count + 1, updated_at = clock_timestamp()
    FROM (${HELD}) AS h
    JOIN jsonb_to_recordset($3::jsonb) AS c(position int, "durationMs" int, "waitMs" int) ON c.position = h.place
    WHERE j.tenant_id = h.tenant_id AND j.id = h.id AND j.status = 'queued'
    RETURNING j.tenant_id, j.id, j.attempt_count, h.place, c."durationMs", c."waitMs"
  ), logged AS (
    INSERT INTO job_logs (tenant_id, job_id, attempt_number, log_level, message, duration_ms, wait_ms)
    SELECT tenant_id, id, attempt_count, 'warning', 'stopped by a person', "durationMs", "waitMs" FROM settled
  ), ${COUNT_DOWN_AND_TAKE_OUT}
  ${ANSWER}`

const COMPLETE = { name: 'complete_jobs', text: complete(LEASE, `, ${COUNT_DOWN}`) }
const COMPLETE_LEASE = { name: 'complete_lease', text: complete(WHOLE_LEASE, '') }

/**
 * Marks jobs as done, each with its line in the log. Answers the ids that were still held: for the others the lease was
 * lost meanwhile, someone else has them or will, and nothing was changed. One statement per lease; `isLast` says whether
 * so many jobs are all that a lease still holds, so that the same statement ends it.
 */
export async function completeJobs(
  sql: Sql,
  jobs: readonly CompletedJob[],
  isLast: (leaseId: string, jobs: number) => boolean = () => false,
): Promise<Set<string>> {
  return settleByLease(jobs, async (leaseId, ofLease) => {
    const { durations, waits, results } = inLeaseOrder(ofLease)
    const { rows } = await sql.query<Answer>({
      ...(isLast(leaseId, ofLease.length) ? COMPLETE_LEASE : COMPLETE),
      values: [leaseId, ofLease.length, durations, waits, results],
    })
    return rows
  })
}

/**
 * Counts attempts as failed. A job with attempts left waits in its queue, ever longer; one without, or one that failed
 * for good, becomes a dead letter in the same statement. Answers which became dead letters; lost jobs as above.
 */
export async function failJobs(sql: Sql, jobs: readonly FailedJob[]): Promise<Map<string, { dead: boolean }>> {
  const failures = new Map<string, { dead: boolean }>()
  const write = async ([leaseId, ofLease]: [string, FailedJob[]]) => {
    const { rows } = await sql.query<{ place: number; dead: boolean }>(FAIL, [leaseId, JSON.stringify(ofLease)])
    const ids = new Map(ofLease.map(({ position, id }) => [position, id]))
    for (const { place, dead } of rows) failures.set(ids.get(place) as string, { dead })
  }
  await Promise.all([...groupBy(jobs, ({ leaseId }) => leaseId)].map(write))
  return failures
}

/** Puts jobs back without counting the attempt. Answers the ids that were still held. */
export async function postponeJobs(sql: Sql, jobs: readonly PostponedJob[]): Promise<Set<string>> {
  return settleByLease(jobs, async (leaseId, ofLease) => {
    return (await sql.query<Answer>(POSTPONE, parameters(leaseId, ofLease))).rows
  })
}

/** Marks running jobs as stopped by a person. Answers the ids that were still held. */
export async function cancelJobs(sql: Sql, jobs: readonly CancelledJob[]): Promise<Set<string>> {
  return settleByLease(jobs, async (leaseId, ofLease) => {
    return (await sql.query<Answer>(CANCEL, parameters(leaseId, ofLease))).rows
  })
}

type Answer = { places: number[] | null }

async function settleByLease<Job extends HeldJob>(
  jobs: readonly Job[],
  write: (leaseId: string, jobs: Job[]) => Promise<Answer[]>,
): Promise<Set<string>> {
  const settled = new Set<string>()
  const settle = async ([leaseId, ofLease]: [string, Job[]]) => {
    const [answer] = await write(leaseId, ofLease)
    const places = answer?.places ? new Set(answer.places) : undefined
    for (const { position, id } of ofLease) if (!places || places.has(position)) settled.add(id)
  }
  await Promise.all([...groupBy(jobs, ({ leaseId }) => leaseId)].map(settle))
  return settled
}

function parameters(leaseId: string, jobs: readonly HeldJob[]): unknown[] {
  return [leaseId, jobs.length, JSON.stringify(jobs)]
}

function inLeaseOrder(jobs: readonly CompletedJob[]) {
  const length = Math.max(...jobs.map(({ position }) => position))
  const durations = new Array<number | null>(length).fill(null)
  const waits = new Array<number | null>(length).fill(null)
  const results: (string | null)[] = jobs.some(({ result }) => result !== undefined) ? new Array(length).fill(null) : []
  for (const { position, durationMs, waitMs, result } of jobs) {
    durations[position - 1] = durationMs
    waits[position - 1] = waitMs
    if (result !== undefined) results[position - 1] = JSON.stringify(result)
  }
  return { durations, waits, results }
}
