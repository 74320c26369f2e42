import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { completeJobs, failJobs, postponeJobs } from '../../../subgraphs/queue/engine/acknowledge.ts'
import { claimJobs, findQueuesWithWork } from '../../../subgraphs/queue/engine/claim.ts'
import type { ClaimedJob } from '../../../subgraphs/queue/engine/job.ts'
import { expireJobs } from '../../../subgraphs/queue/engine/maintenance.ts'
import {
  enqueue,
  makeWorker,
  openQueueDatabase,
  type QueueDatabase,
  readJobs,
  request,
  rival,
} from './queueDatabase.ts'

const QUEUE = 'notification-delivery'
let queue: QueueDatabase
let workerId: string
beforeAll(async () => {
  queue = await openQueueDatabase()
})
afterAll(() => queue.close())
beforeEach(async () => {
  workerId = await makeWorker(queue.sql)
})
afterEach(async () => {
  await queue.sql.query('DELETE FROM jobs; DELETE FROM worker_leases; DELETE FROM dead_letter_jobs')
  await queue.sql.query('UPDATE job_queues SET is_active = true, max_concurrent_jobs = 1000')
})

const claim = (limit = 10, leaseMs = 10_000) => claimJobs(queue.sql, { workerId, queueName: QUEUE, limit, leaseMs })
const failure = (job: ClaimedJob, changes: object = {}) => ({
  ...job,
  message: 'no luck',
  details: { name: 'Error' },
  fingerprint: 'f',
  permanent: false,
  durationMs: 3,
  ...changes,
})
const letters = async (jobId: string) => {
  const { rows } = await queue.sql.query('SELECT * FROM dead_letter_jobs WHERE job_id = $1', [jobId])
  return rows
}

describe('claiming', () => {
  test('takes the lower priority number first, then the order of arrival', async () => {
    const [a, b, c, d] = await enqueue(
      queue.sql,
      request(),
      request({ priority: 200 }),
      request({ priority: 10 }),
      request(),
    )
    const claimed = await claim()
    expect(claimed?.jobs.map(({ id }) => id)).toEqual([c, a, d, b])
    expect(claimed?.jobs[0]).toMatchObject({
      attempt: 1,
      maxAttempts: 5,
      timeoutMs: 120_000,
      payload: { text: 'hello' },
    })
  })

  test('gives no job to two of many claimers, and every job to one', async () => {
    const ids = await enqueue(queue.sql, ...Array.from({ length: 300 }, () => request()))
    const claims = await Promise.all(Array.from({ length: 40 }, () => claim(10)))
    const taken = claims.flatMap((one) => one?.jobs.map(({ id }) => id) ?? [])
    expect(taken).toHaveLength(300)
    expect(new Set(taken)).toEqual(new Set(ids))
  })

  test('leaves a job that is not due yet, and a paused queue alone', async () => {
    await enqueue(queue.sql, request({ runAt: new Date(Date.now() + 60_000) }))
    expect(await claim()).toBeNull()
    expect(await findQueuesWithWork(queue.sql, [QUEUE])).toEqual([])
    await enqueue(queue.sql, request())
    expect(await findQueuesWithWork(queue.sql, [QUEUE, 'billing-sync'])).toEqual([QUEUE])
    await queue.sql.query('UPDATE job_queues SET is_active = false WHERE name = $1', [QUEUE])
    expect(await claim()).toBeNull()
    expect(await findQueuesWithWork(queue.sql, [QUEUE])).toEqual([])
  })

  test('never exceeds what the queue allows at once, however many ask', async () => {
    await queue.sql.query('UPDATE job_queues SET max_concurrent_jobs = 7 WHERE name = $1', [QUEUE])
    await enqueue(queue.sql, ...Array.from({ length: 20 }, () => request()))
    const claims = await Promise.all(Array.from({ length: 5 }, () => claim(3)))
    expect(claims.flatMap((one) => one?.jobs ?? [])).toHaveLength(7)
    expect(await claim()).toBeNull()
  })

  test('writes one lease row for a batch, and needs a registered worker', async () => {
    await enqueue(queue.sql, request(), request())
    const claimed = await claim()
    const { rows } = await queue.sql.query('SELECT id, worker_id, queue_name, job_ids FROM worker_leases')
    expect(rows).toEqual([{ id: claimed?.leaseId, worker_id: workerId, queue_name: QUEUE, job_ids: expect.any(Array) }])
    await enqueue(queue.sql, request())
    const stranger = { workerId: randomUUID(), queueName: QUEUE, limit: 1, leaseMs: 1_000 }
    await expect(claimJobs(queue.sql, stranger)).rejects.toThrow('worker_leases_worker_id_fkey')
  })

  test('a job worthless by now is expired instead of run', async () => {
    const [id] = (await enqueue(queue.sql, request())) as [string]
    await queue.sql.query(`UPDATE jobs SET expires_at = now() - interval '1 second'`)
    expect(await claim()).toBeNull()
    expect(await expireJobs(queue.sql)).toBe(1)
    expect((await readJobs(queue.sql, [id]))[0]?.status).toBe('expired')
  })
})

describe('acknowledging', () => {
  test('completes a batch with a log line for each job', async () => {
    const ids = await enqueue(queue.sql, request(), request({ tenantId: rival }))
    const claimed = await claim()
    const done = await completeJobs(
      queue.sql,
      (claimed?.jobs ?? []).map((job) => ({ ...job, result: { ok: true }, durationMs: 12 })),
    )
    expect(done).toEqual(new Set(ids))
    const { rows } = await queue.sql.query(
      `SELECT j.status, j.result, j.completed_at IS NOT NULL AS stamped, l.log_level, l.attempt_number, l.duration_ms
       FROM jobs j JOIN job_logs l ON l.tenant_id = j.tenant_id AND l.job_id = j.id WHERE j.id = ANY($1)`,
      [ids],
    )
    const expected = {
      status: 'completed',
      result: { ok: true },
      stamped: true,
      log_level: 'info',
      attempt_number: 1,
      duration_ms: 12,
    }
    expect(rows).toEqual([expected, expected])
  })

  test('a failed job waits for its backoff, which doubles, before it is claimed again', async () => {
    await queue.sql.query(`UPDATE job_queues SET backoff_base_ms = 40000 WHERE name = $1`, [QUEUE])
    const [id] = (await enqueue(queue.sql, request())) as [string]
    for (const expected of [40_000, 80_000]) {
      const claimed = await claim()
      await failJobs(queue.sql, [failure(claimed?.jobs[0] as ClaimedJob)])
      const [job] = await readJobs(queue.sql, [id])
      const waitMs = (job?.run_at.getTime() ?? 0) - Date.now()
      expect(job).toMatchObject({ status: 'queued', last_error_message: 'no luck', lease_id: null })
      expect(waitMs).toBeGreaterThan(expected * 0.75 - 10_000)
      expect(waitMs).toBeLessThanOrEqual(expected * 1.25)
      expect(await claim()).toBeNull()
      await queue.sql.query('UPDATE jobs SET run_at = clock_timestamp() WHERE id = $1', [id])
    }
    expect((await claim())?.jobs[0]).toMatchObject({ id, attempt: 3 })
  })

  test('a task that knows when to come back is believed', async () => {
    const [id] = (await enqueue(queue.sql, request())) as [string]
    const claimed = await claim()
    await failJobs(queue.sql, [failure(claimed?.jobs[0] as ClaimedJob, { retryAfterMs: 3_600_000 })])
    const [job] = await readJobs(queue.sql, [id])
    expect((job?.run_at.getTime() ?? 0) - Date.now()).toBeGreaterThan(3_500_000)
  })

  test('the last attempt makes a dead letter, in the same statement', async () => {
    const [id] = (await enqueue(queue.sql, request({ maxAttempts: 1, payload: { text: 'dear' } }))) as [string]
    const claimed = await claim()
    const failed = await failJobs(queue.sql, [failure(claimed?.jobs[0] as ClaimedJob)])
    expect(failed.get(id)).toEqual({ dead: true })
    expect((await readJobs(queue.sql, [id]))[0]?.status).toBe('failed')
    expect(await letters(id)).toMatchObject([
      {
        payload: { text: 'dear' },
        final_attempt: 1,
        failure_reason: 'no luck',
        error_fingerprint: 'f',
        is_resolved: false,
      },
    ])
  })

  test('a permanent failure makes a dead letter whatever attempts are left', async () => {
    const [id] = (await enqueue(queue.sql, request())) as [string]
    const claimed = await claim()
    await failJobs(queue.sql, [failure(claimed?.jobs[0] as ClaimedJob, { permanent: true })])
    expect(await letters(id)).toHaveLength(1)
  })

  test('a postponed job gets its attempt back', async () => {
    const [id] = (await enqueue(queue.sql, request())) as [string]
    const claimed = await claim()
    await postponeJobs(queue.sql, [{ ...(claimed?.jobs[0] as ClaimedJob), delayMs: 0, reason: 'tier away' }])
    expect(await readJobs(queue.sql, [id])).toMatchObject([
      { status: 'queued', attempt_count: 0, last_error_message: 'tier away' },
    ])
  })
})
