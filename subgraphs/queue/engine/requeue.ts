import type { EndedBadly } from './jobFilter.ts'
import type { Sql } from './sql.ts'

// Only ended jobs are locked, and no queue: whoever holds a queue's lock may wait for a waiting job's row, never for these.
const LOCK_ENDED = `
  SELECT id, queue_name AS "queueName", unique_key AS "uniqueKey" FROM jobs
  WHERE tenant_id = $1 AND id = ANY($2) AND status = ANY($3) ORDER BY id FOR UPDATE`

const FIND_STATUSES = `SELECT id, status FROM jobs WHERE tenant_id = $1 AND id = ANY($2)`

// Two statements: the first waits for whoever is at the key, the second sees what they have done.
const LOCK_KEYS = `
  INSERT INTO unique_job_keys AS u (tenant_id, queue_name, key, job_id)
  SELECT $1, k.queue_name, k.key, k.job_id FROM unnest($2::text[], $3::text[], $4::uuid[]) AS k (queue_name, key, job_id)
  ORDER BY k.queue_name, k.key
  ON CONFLICT (tenant_id, queue_name, key) DO UPDATE SET job_id = u.job_id`

const TAKE_KEYS = `
  UPDATE unique_job_keys u SET job_id = k.job_id, expires_at = CASE WHEN u.expires_at > clock_timestamp() THEN u.expires_at END
  FROM unnest($2::text[], $3::text[], $4::uuid[]) AS k (queue_name, key, job_id)
  WHERE u.tenant_id = $1 AND u.queue_name = k.queue_name AND u.key = k.key
    AND (u.job_id = k.job_id OR CASE WHEN u.expires_at IS NULL
      THEN NOT EXISTS (SELECT 1 FROM jobs j WHERE j.tenant_id = u.tenant_id AND j.id = u.job_id AND j.status = 'queued')
      ELSE u.expires_at <= clock_timestamp() END)
  RETURNING u.job_id AS id`

const REQUEUE = `
  UPDATE jobs SET status = 'queued', attempt_count = 0, run_at = clock_timestamp(), is_due = true, completed_at = NULL,
    failed_at = NULL, cancel_requested_at = NULL, updated_at = clock_timestamp(),
    expires_at = CASE WHEN expires_at > clock_timestamp() THEN expires_at END
  WHERE tenant_id = $1 AND id = ANY($2)`

const RESOLVE_LETTERS = `
  UPDATE dead_letter_jobs
  SET is_resolved = true, resolved_at = clock_timestamp(), resolved_by = $3, resolution_notes = $4
  WHERE tenant_id = $1 AND job_id = ANY($2) AND NOT is_resolved`

const LOG = `
  INSERT INTO job_logs (tenant_id, job_id, attempt_number, log_level, message)
  SELECT $1, job_id, 0, 'info', $3 FROM unnest($2::uuid[]) AS job_id`

type EndedJob = { id: string; queueName: string; uniqueKey: string | null }

/** What became of jobs that were to run again: those put back, in which queues, and why the others were not, by id. */
export type Requeued = { ids: string[]; queueNames: string[]; refused: Map<string, string> }

export type RequeueOrder = {
  tenantId: string
  ids: readonly string[]
  /** Jobs that ended otherwise, or have not, are left alone. */
  from: readonly EndedBadly[]
  /** Whose doing it is; null for the platform's own. */
  userId: string | null
  /** Goes to the jobs' logs and to their letters. */
  note: string
}

/**
 * Puts jobs of one tenant back at the start, due at once, their open dead letters resolved; a job whose unique key another
 * one holds by now stays where it is. In the caller's transaction.
 */
export async function requeueEnded(tx: Sql, { tenantId, ids, from, userId, note }: RequeueOrder): Promise<Requeued> {
  const { rows: ended } = await tx.query<EndedJob>(LOCK_ENDED, [tenantId, ids, from])
  const kept = await keepUnique(tx, tenantId, ended)
  const free = ended.filter(({ id }) => kept.has(id))
  if (free.length > 0) await requeueLocked(tx, { tenantId, ids: free.map(({ id }) => id), userId, note })
  const refused = new Map(
    ended.filter(({ id }) => !kept.has(id)).map(({ id }) => [id, 'another job holds its unique key']),
  )
  const left = ids.filter((id) => !kept.has(id) && !refused.has(id))
  const { rows } =
    left.length > 0 ? await tx.query<{ id: string; status: string }>(FIND_STATUSES, [tenantId, left]) : { rows: [] }
  const statuses = new Map(rows.map(({ id, status }) => [id, status]))
  for (const id of left) refused.set(id, statuses.has(id) ? `the job is ${statuses.get(id)}` : 'the job is gone')
  return { ids: free.map(({ id }) => id), queueNames: [...new Set(free.map(({ queueName }) => queueName))], refused }
}

/** The same for jobs that the caller has locked and knows not to be in work, whose keys nobody else can hold. */
export async function requeueLocked(
  tx: Sql,
  { tenantId, ids, userId, note }: Omit<RequeueOrder, 'from'>,
): Promise<void> {
  await tx.query(REQUEUE, [tenantId, ids])
  await tx.query(RESOLVE_LETTERS, [tenantId, ids, userId, note])
  await tx.query(LOG, [tenantId, ids, note])
}

/** Of these jobs those that may be in the queue again: without a unique key, or first to have it back. */
async function keepUnique(tx: Sql, tenantId: string, jobs: readonly EndedJob[]): Promise<Set<string>> {
  const kept = new Set(jobs.filter(({ uniqueKey }) => uniqueKey === null).map(({ id }) => id))
  const claims = new Map<string, EndedJob>()
  for (const job of jobs) {
    const key = JSON.stringify([job.queueName, job.uniqueKey])
    if (job.uniqueKey !== null && !claims.has(key)) claims.set(key, job)
  }
  if (claims.size === 0) return kept
  const firsts = [...claims.values()]
  const keys = [
    tenantId,
    firsts.map(({ queueName }) => queueName),
    firsts.map(({ uniqueKey }) => uniqueKey),
    firsts.map(({ id }) => id),
  ]
  await tx.query(LOCK_KEYS, keys)
  const { rows } = await tx.query<{ id: string }>(TAKE_KEYS, keys)
  for (const { id } of rows) kept.add(id)
  return kept
}
