import { v7 as uuidv7 } from 'uuid'
import { acceptedAtOf, describeProblem, type JobRequest, jobRequest } from './jobRequest.ts'
import type { Sql } from './sql.ts'

export type EnqueueResult = {
  key: string
  /** The new job's, or that of the job the key stands for already. */
  jobId: string | null
  status: 'enqueued' | 'duplicate' | 'rejected'
  error: string | null
}

/** What was enqueued, and the queues in which something can run now. */
export type Enqueued = { results: EnqueueResult[]; readyQueues: string[] }

// Receipts in key order: two relays that repeat the same batch wait for each other instead of deadlocking.
const INSERT_JOBS = `
  WITH input AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS i("jobId" uuid, "tenantId" uuid, source text, key text,
      "queueName" text, "jobType" text, payload jsonb, priority int, "runAt" timestamptz, "acceptedAt" timestamptz,
      "maxAttempts" int, "correlationId" text, "userId" uuid, "subjectTypename" text, "subjectId" text,
      "campaignId" uuid, position int)
  ), receipt AS (
    INSERT INTO enqueue_receipts (tenant_id, source, key, job_id)
    SELECT "tenantId", source, key, "jobId" FROM input ORDER BY "tenantId", source, key
    ON CONFLICT (tenant_id, source, key) DO NOTHING
    RETURNING job_id
  )
  INSERT INTO jobs (tenant_id, id, queue_name, job_type, payload, priority, max_attempts, run_at, accepted_at,
    correlation_id, user_id, subject_typename, subject_id, campaign_id)
  SELECT i."tenantId", i."jobId", q.name, i."jobType", i.payload, coalesce(i.priority, q.default_priority),
    coalesce(i."maxAttempts", q.retry_attempts), coalesce(i."runAt", clock_timestamp()),
    coalesce(i."acceptedAt", clock_timestamp()), i."correlationId", i."userId", i."subjectTypename", i."subjectId",
    i."campaignId"
  FROM input i
  JOIN receipt r ON r.job_id = i."jobId"
  JOIN job_queues q ON q.name = i."queueName"
  ORDER BY i.position
  RETURNING id, queue_name, run_at <= clock_timestamp() AS ready`

const FIND_RECEIPTS = `
  SELECT k.position, r.job_id FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY
    AS k(tenant_id, source, key, position)
  JOIN enqueue_receipts r USING (tenant_id, source, key)`

type Candidate = { position: number; jobId: string; request: JobRequest }

/**
 * Enqueues jobs of any tenants at once; run it on the system role. Each item is answered by itself: `enqueued`;
 * `duplicate` when its (tenantId, source, key) has become a job before, completed or not; `rejected` with the reason.
 * Answers stand in the order of the requests.
 */
export async function enqueueJobs(sql: Sql, requests: readonly unknown[]): Promise<Enqueued> {
  const queues = await sql.query<{ name: string }>('SELECT name FROM job_queues')
  const known = new Set(queues.rows.map(({ name }) => name))
  const results = new Array<EnqueueResult>(requests.length)
  const candidates: Candidate[] = []
  requests.forEach((request, position) => {
    const parsed = jobRequest.safeParse(request)
    const reject = (error: string) => {
      results[position] = { key: keyOf(request), jobId: null, status: 'rejected', error }
    }
    if (!parsed.success) reject(describeProblem(parsed.error))
    else if (!known.has(parsed.data.queueName)) reject(`there is no queue ${parsed.data.queueName}`)
    else candidates.push({ position, jobId: uuidv7(), request: parsed.data })
  })
  if (candidates.length === 0) return { results, readyQueues: [] }

  const { rows } = await sql.query<{ id: string; queue_name: string; ready: boolean }>(INSERT_JOBS, [
    JSON.stringify(candidates.map(toRow)),
  ])
  const inserted = new Set(rows.map(({ id }) => id))
  const repeated = candidates.filter(({ jobId }) => !inserted.has(jobId))
  const jobIds = await findReceipts(sql, repeated)
  for (const { position, jobId, request } of candidates) {
    const isNew = inserted.has(jobId)
    results[position] = {
      key: request.key,
      jobId: isNew ? jobId : (jobIds.get(position) ?? null),
      status: isNew ? 'enqueued' : 'duplicate',
      error: null,
    }
  }
  return { results, readyQueues: [...new Set(rows.filter(({ ready }) => ready).map((row) => row.queue_name))] }
}

function toRow({ position, jobId, request }: Candidate) {
  return { ...request, position, jobId, acceptedAt: acceptedAtOf(request.payload) }
}

/** The jobs behind keys that were known already, by position. A statement of its own: it must see what others committed. */
async function findReceipts(sql: Sql, repeated: readonly Candidate[]): Promise<Map<number, string>> {
  if (repeated.length === 0) return new Map()
  const { rows } = await sql.query<{ position: string; job_id: string }>(FIND_RECEIPTS, [
    repeated.map(({ request }) => request.tenantId),
    repeated.map(({ request }) => request.source),
    repeated.map(({ request }) => request.key),
  ])
  return new Map(rows.map(({ position, job_id }) => [(repeated[Number(position) - 1] as Candidate).position, job_id]))
}

function keyOf(request: unknown): string {
  const key = (request as { key?: unknown } | null)?.key
  return typeof key === 'string' ? key : ''
}
