import { v7 as uuidv7 } from 'uuid'
import { acceptedAtOf, describeProblem, type JobRequest, jobRequest, renderPayload } from './jobRequest.ts'
import type { Sql } from './sql.ts'

export type EnqueueResult = {
  /** The request's own; empty if it has none. */
  key: string
  /** The new job's, or that of the job the key stands for already. */
  jobId: string | null
  status: 'enqueued' | 'duplicate' | 'replaced' | 'rejected'
  error: string | null
}

/** What was enqueued, and the queues in which something can run now. */
export type Enqueued = { results: EnqueueResult[]; readyQueues: string[] }

const INSERT_JOBS = { name: 'insert_jobs', text: 'SELECT * FROM insert_jobs($1, $2)' }
const INSERT_UNIQUE_JOB = 'SELECT * FROM insert_unique_job($1, $2, $3)'

const FIND_RECEIPTS = `
  SELECT k.position, r.job_id FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY
    AS k(tenant_id, source, key, position)
  JOIN enqueue_receipts r USING (tenant_id, source, key)`

type Candidate = { position: number; jobId: string; request: JobRequest; json: string }

/**
 * Enqueues jobs of any tenants at once; run it on the system role. Each item is answered by itself: `enqueued`;
 * `duplicate` when its (tenantId, source, key) has become a job before, completed or not, or another job holds its unique
 * key; `replaced` when that job took its payload; `rejected` with the reason. Answers stand in the order of the requests.
 * With `wake` the statement also notifies workers that listen to PostgreSQL; see `Enqueuer`, which knows when to.
 */
export async function enqueueJobs(
  sql: Sql,
  requests: readonly unknown[],
  { wake = false }: { wake?: boolean } = {},
): Promise<Enqueued> {
  const known = await findQueueNames(sql, requests)
  const results = new Array<EnqueueResult>(requests.length)
  const candidates: Candidate[] = []
  requests.forEach((request, position) => {
    try {
      candidates.push(checkRequest(request, position, known))
    } catch (error) {
      results[position] = { key: keyOf(request), jobId: null, status: 'rejected', error: (error as Error).message }
    }
  })
  const readyQueues = new Set<string>()
  const plain = candidates.filter(({ request }) => request.uniqueKey == null)
  if (plain.length > 0) await insertJobs(sql, plain, { wake, results, readyQueues })
  for (const candidate of candidates) {
    if (candidate.request.uniqueKey != null) await insertUniqueJob(sql, candidate, results, readyQueues)
  }
  return { results, readyQueues: [...readyQueues] }
}

/** @throws Error in a producer's words */
function checkRequest(request: unknown, position: number, known: ReadonlySet<string>): Candidate {
  const parsed = jobRequest.safeParse(request)
  if (!parsed.success) throw new Error(describeProblem(parsed.error))
  const { data } = parsed
  if (!known.has(data.queueName)) throw new Error(`there is no queue ${data.queueName}`)
  if ((data.key == null) !== (data.source == null)) throw new Error('source and key: a receipt needs both')
  if (data.uniqueKey == null && (data.uniqueForSeconds != null || data.uniquePolicy != null)) {
    throw new Error('uniqueKey: is what a window or a policy is for')
  }
  const { payload, uniqueForSeconds: _window, uniquePolicy: _policy, ...columns } = data
  const jobId = uuidv7()
  const row = JSON.stringify({ ...columns, jobId, acceptedAt: acceptedAtOf(payload) ?? undefined })
  // The payload is rendered once: it is most of the row.
  return { position, jobId, request: data, json: `${row.slice(0, -1)},"payload":${renderPayload(payload)}}` }
}

async function insertJobs(
  sql: Sql,
  candidates: readonly Candidate[],
  { wake, results, readyQueues }: { wake: boolean; results: EnqueueResult[]; readyQueues: Set<string> },
): Promise<void> {
  const { rows } = await sql.query<{ job_id: string; job_queue: string; is_ready: boolean }>({
    ...INSERT_JOBS,
    values: [`[${candidates.map(({ json }) => json).join()}]`, wake],
  })
  for (const { is_ready, job_queue } of rows) if (is_ready) readyQueues.add(job_queue)
  const all = rows.length === candidates.length
  const inserted = all ? undefined : new Set(rows.map(({ job_id }) => job_id))
  const repeated = inserted ? candidates.filter(({ jobId }) => !inserted.has(jobId)) : []
  const jobIds = await findReceipts(sql, repeated)
  for (const { position, jobId, request } of candidates) {
    const isNew = !inserted || inserted.has(jobId)
    results[position] = {
      key: request.key ?? '',
      jobId: isNew ? jobId : (jobIds.get(position) ?? null),
      status: isNew ? 'enqueued' : 'duplicate',
      error: null,
    }
  }
}

const UNIQUE_OUTCOMES = { new: 'enqueued', kept: 'duplicate', replaced: 'replaced', rejected: 'rejected' } as const

async function insertUniqueJob(
  sql: Sql,
  { position, request, json }: Candidate,
  results: EnqueueResult[],
  readyQueues: Set<string>,
): Promise<void> {
  type Row = { outcome: keyof typeof UNIQUE_OUTCOMES; holder: string; is_ready: boolean }
  const values = [json, request.uniquePolicy ?? 'keep', request.uniqueForSeconds ?? null]
  const { rows } = await sql.query<Row>(INSERT_UNIQUE_JOB, values)
  const { outcome, holder, is_ready } = rows[0] as Row
  if (is_ready) readyQueues.add(request.queueName)
  const isRejected = outcome === 'rejected'
  results[position] = {
    key: request.key ?? '',
    jobId: isRejected ? null : holder,
    status: UNIQUE_OUTCOMES[outcome],
    error: isRejected ? `uniqueKey: is held by job ${holder}` : null,
  }
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

const knownQueues = new WeakMap<Sql, Set<string>>()

/** Queues are made by migrations and never removed: only a name not met before is worth a look. */
async function findQueueNames(sql: Sql, requests: readonly unknown[]): Promise<ReadonlySet<string>> {
  const known = knownQueues.get(sql) ?? new Set()
  if (requests.every((request) => known.has((request as { queueName?: string } | null)?.queueName ?? ''))) return known
  const { rows } = await sql.query<{ name: string }>('SELECT name FROM job_queues')
  for (const { name } of rows) known.add(name)
  knownQueues.set(sql, known)
  return known
}

function keyOf(request: unknown): string {
  const key = (request as { key?: unknown } | null)?.key
  return typeof key === 'string' ? key : ''
}
