import { randomUUID } from 'node:crypto'
import pg from 'pg'
import type { CompletedJob, FailedJob } from '../../../subgraphs/queue/engine/acknowledge.ts'
import { type Claim, type ClaimOptions, claimJobs } from '../../../subgraphs/queue/engine/claim.ts'
import type { ClaimedJob } from '../../../subgraphs/queue/engine/job.ts'
import { makeWorker, openQueueDatabase } from './queueDatabase.ts'

export const QUEUE = 'notification-delivery'
export const PLATFORM = '00000000-0000-0000-0000-000000000000'

const NO_LIMITS = {
  is_active: true,
  max_concurrent_jobs: 100_000,
  max_concurrent_per_tenant: null,
  max_concurrent_per_key: null,
  rate_limit_per_minute: null,
  rate_limit_per_tenant: null,
  rate_limit_per_key: null,
  backoff_base_ms: 50,
  timeout_seconds: 120,
}
export type QueueLimits = Partial<Record<keyof typeof NO_LIMITS, number | boolean | null>>

type Bulk = { tenantId: string; jobs: number; priority?: number; key?: string | null; delayMs?: number; queue?: string }

/** A database with a worker at its counter: claims by hand, with the limits that a test sets. */
export async function openClaimDesk() {
  const queue = await openQueueDatabase()
  const owner = new pg.Pool({ connectionString: queue.ownerUrl, max: 1 })
  const workerId = await makeWorker(queue.sql)
  const limit = async (limits: QueueLimits = {}) => {
    const all = Object.entries({ ...NO_LIMITS, ...limits })
    const columns = all.map(([name], index) => `${name} = $${index + 1}`)
    await queue.sql.query(
      `UPDATE job_queues SET ${columns.join()}`,
      all.map(([, value]) => value),
    )
  }
  await limit()
  return {
    queue,
    sql: queue.sql,
    /** For what only a table's owner may: empty it, vacuum it. */
    owner,
    workerId,
    limit,
    /** Jobs put straight into the table, as many as a test needs: the owner's statements may take their time. */
    async fill({ tenantId, jobs, priority = 100, key = null, delayMs = 0, queue: name = QUEUE }: Bulk) {
      await owner.query(
        `INSERT INTO jobs (tenant_id, id, queue_name, job_type, payload, priority, concurrency_key, run_at, is_due)
         SELECT $1, gen_random_uuid(), $2, 'echo', '{"text": "hello"}', $3, $4,
           clock_timestamp() + $5::float8 * interval '1 millisecond', $5 <= 0
         FROM generate_series(1, $6::int)`,
        [tenantId, name, priority, key, delayMs, jobs],
      )
    },
    claim: (limit: number, changes: Partial<ClaimOptions> = {}) =>
      claimJobs(queue.sql, { workerId, queueName: QUEUE, limit, leaseMs: 60_000, ...changes }),
    /** Empties the queue and lifts every limit. */
    async clear() {
      await owner.query(
        'TRUNCATE jobs, job_logs, worker_leases, rate_buckets, unique_job_keys, dead_letter_jobs, enqueue_receipts',
      )
      await limit()
    },
    async close() {
      await owner.end()
      await queue.close()
    },
  }
}
export type ClaimDesk = Awaited<ReturnType<typeof openClaimDesk>>

export const jobsOf = (claim: Claim | null): ClaimedJob[] => claim?.jobs ?? []
export const idsOf = (claim: Claim | null): string[] => jobsOf(claim).map(({ id }) => id)

/** How many jobs of each tenant there are. */
export function countByTenant(jobs: readonly ClaimedJob[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { tenantId } of jobs) counts[tenantId] = (counts[tenantId] ?? 0) + 1
  return counts
}

/** Tenants in the order of their ids, in which claims go round. */
export const tenantsInOrder = (count: number): string[] => Array.from({ length: count }, () => randomUUID()).toSorted()

export const done = (job: ClaimedJob): CompletedJob => ({ ...job, durationMs: 1 })
export const failure = (job: ClaimedJob, changes: Partial<FailedJob> = {}): FailedJob => ({
  ...job,
  message: 'no luck',
  details: { name: 'Error' },
  fingerprint: 'f',
  permanent: false,
  durationMs: 1,
  ...changes,
})
