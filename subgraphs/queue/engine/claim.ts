import type pg from 'pg'
import { v7 as uuidv7 } from 'uuid'
import type { ClaimedJob } from './job.ts'
import { inTransaction, type Sql } from './sql.ts'

export type Claim = { leaseId: string; jobs: ClaimedJob[] }

export type ClaimOptions = {
  /** A registered worker. */
  workerId: string
  queueName: string
  /** At most so many jobs; the queue's own limit may allow fewer. */
  limit: number
  /** How long the lease holds unless it is renewed. */
  leaseMs: number
}

const FIND_WORK = `
  SELECT q.name FROM job_queues q
  WHERE q.name = ANY($1) AND q.is_active AND EXISTS (
    SELECT 1 FROM jobs j
    WHERE j.queue_name = q.name AND j.status = 'queued' AND j.run_at <= now() + interval '1 millisecond')`

// One claimer of a queue at a time, so that max_concurrent_jobs is counted and not guessed.
const LOCK_QUEUE = `SELECT pg_advisory_xact_lock(hashtext('claim'), hashtext($1))`

// coalesce: the LIMIT of a paused queue would be NULL, which means no limit.
const CLAIM_JOBS = `
  WITH queue AS (
    SELECT timeout_seconds, max_concurrent_jobs
      - (SELECT count(*) FROM jobs WHERE queue_name = $1 AND status = 'processing') AS room
    FROM job_queues WHERE name = $1 AND is_active
  ), picked AS MATERIALIZED (
    SELECT tenant_id, id FROM jobs
    WHERE queue_name = $1 AND status = 'queued' AND run_at <= clock_timestamp() + interval '1 millisecond'
      AND (expires_at IS NULL OR expires_at > clock_timestamp())
    ORDER BY priority, seq
    LIMIT coalesce((SELECT greatest(0, least($2::bigint, room)) FROM queue), 0)
    FOR UPDATE SKIP LOCKED
  ), lease AS (
    INSERT INTO worker_leases (id, worker_id, queue_name, job_ids, expires_at)
    SELECT $3, $4, $1, array_agg(id), clock_timestamp() + $5 * interval '1 millisecond'
    FROM picked HAVING count(*) > 0
  )
  UPDATE jobs j
  SET status = 'processing', lease_id = $3, attempt_count = j.attempt_count + 1, started_at = clock_timestamp()
  FROM picked p, queue q
  WHERE j.tenant_id = p.tenant_id AND j.id = p.id
  RETURNING j.id, j.tenant_id AS "tenantId", j.queue_name AS "queueName", j.job_type AS "jobType", j.payload,
    j.queued_at AS "queuedAt", j.attempt_count AS attempt, j.max_attempts AS "maxAttempts", j.correlation_id AS "correlationId",
    j.user_id AS "userId", j.subject_typename AS "subjectTypename", j.subject_id AS "subjectId",
    j.lease_id AS "leaseId", q.timeout_seconds * 1000 AS "timeoutMs", j.priority, j.seq`

/** Which of these queues have a job that could run now. One cheap statement: it is what an idle worker asks. */
export async function findQueuesWithWork(sql: Sql, queueNames: readonly string[]): Promise<string[]> {
  if (queueNames.length === 0) return []
  const { rows } = await sql.query<{ name: string }>(FIND_WORK, [queueNames])
  return rows.map(({ name }) => name)
}

/**
 * Takes the queue's next due jobs under one new lease, lower priority number first, then in order of arrival. Two
 * claimers never get the same job. Null when there is nothing to do, the queue is paused or at its limit.
 */
export async function claimJobs(pool: pg.Pool, options: ClaimOptions): Promise<Claim | null> {
  const { workerId, queueName, limit, leaseMs } = options
  const leaseId = uuidv7()
  const { rows } = await inTransaction(pool, async (tx) => {
    await tx.query(LOCK_QUEUE, [queueName])
    return tx.query<ClaimedJob & { priority: number; seq: string }>(CLAIM_JOBS, [
      queueName,
      limit,
      leaseId,
      workerId,
      leaseMs,
    ])
  })
  if (rows.length === 0) return null
  // RETURNING keeps no order.
  rows.sort((a, b) => a.priority - b.priority || Number(BigInt(a.seq) - BigInt(b.seq)))
  return { leaseId, jobs: rows.map(({ priority: _priority, seq: _seq, ...job }) => job) }
}
