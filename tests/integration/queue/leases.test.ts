import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { completeJobs, failJobs, postponeJobs } from '../../../subgraphs/queue/engine/acknowledge.ts'
import { claimJobs } from '../../../subgraphs/queue/engine/claim.ts'
import type { ClaimedJob } from '../../../subgraphs/queue/engine/job.ts'
import { extendLeases, reapLeases } from '../../../subgraphs/queue/engine/lease.ts'
import { Reaper } from '../../../subgraphs/queue/engine/reaper.ts'
import { enqueue, makeWorker, openQueueDatabase, type QueueDatabase, readJobs, request } from './queueDatabase.ts'

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

/** Claims jobs that must be there. */
const take = async (limit = 10) => {
  const claimed = await claim(limit)
  if (!claimed) throw new Error('nothing was claimed')
  return claimed.jobs as [ClaimedJob, ...ClaimedJob[]]
}
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
const expireLeases = () => queue.sql.query(`UPDATE worker_leases SET expires_at = now() - interval '1 second'`)

describe('leases', () => {
  test('an expired one is taken away: its jobs are queued again, the attempt counted', async () => {
    const ids = await enqueue(queue.sql, request(), request())
    await claim()
    expect(await reapLeases(queue.sql)).toEqual({ leases: 0, readyQueues: [] })
    await expireLeases()
    expect(await reapLeases(queue.sql)).toEqual({ leases: 1, readyQueues: [QUEUE] })
    expect((await readJobs(queue.sql, ids)).map(({ status, attempt_count }) => [status, attempt_count])).toEqual([
      ['queued', 1],
      ['queued', 1],
    ])
    expect((await claim())?.jobs.map(({ attempt }) => attempt)).toEqual([2, 2])
  })

  test('a job that took its workers with it every time becomes a dead letter', async () => {
    const [id] = (await enqueue(queue.sql, request({ maxAttempts: 1 }))) as [string]
    await claim()
    await expireLeases()
    await reapLeases(queue.sql)
    expect((await readJobs(queue.sql, [id]))[0]?.status).toBe('failed')
    expect(await letters(id)).toMatchObject([{ error_fingerprint: 'lease-expired' }])
  })

  test('acknowledging late changes nothing, whoever has the job by then', async () => {
    const [id] = (await enqueue(queue.sql, request())) as [string]
    const [late] = await take()
    await expireLeases()
    await reapLeases(queue.sql)
    expect(await completeJobs(queue.sql, [{ ...late, durationMs: 1 }])).toEqual(new Set())
    const [current] = await take()
    expect(await completeJobs(queue.sql, [{ ...late, durationMs: 1 }])).toEqual(new Set())
    expect(await failJobs(queue.sql, [failure(late, { permanent: true })])).toEqual(new Map())
    expect(await postponeJobs(queue.sql, [{ ...late, delayMs: 0 }])).toEqual(new Set())
    expect(await readJobs(queue.sql, [id])).toMatchObject([{ status: 'processing', lease_id: current.leaseId }])
    expect(await completeJobs(queue.sql, [{ ...current, durationMs: 1 }])).toEqual(new Set([id]))
    expect(await completeJobs(queue.sql, [{ ...current, durationMs: 1 }])).toEqual(new Set())
  })

  test('a heartbeat saves a lease that had expired but was not taken yet', async () => {
    await enqueue(queue.sql, request())
    const [{ leaseId }] = await take()
    await expireLeases()
    expect(await extendLeases(queue.sql, [leaseId], 10_000)).toEqual(new Set([leaseId]))
    expect((await reapLeases(queue.sql)).leases).toBe(0)
  })

  test('a job given back is nobody’s: the lease it came from is neither counted nor taken away with it', async () => {
    const [id] = (await enqueue(queue.sql, request(), request())) as [string, string]
    const [first, second] = await take()
    await postponeJobs(queue.sql, [{ ...first, delayMs: 0 }])
    const [again] = await take()
    expect(again.id).toBe(first.id)
    await queue.sql.query(`UPDATE worker_leases SET expires_at = now() - interval '1 second' WHERE id = $1`, [
      first.leaseId,
    ])
    expect((await reapLeases(queue.sql)).leases).toBe(1)
    expect(await readJobs(queue.sql, [id])).toMatchObject([{ attempt_count: 1, lease_id: again.leaseId }])
    expect(await completeJobs(queue.sql, [{ ...second, durationMs: 1 } as never])).toEqual(new Set())
    expect(await completeJobs(queue.sql, [{ ...again, durationMs: 1 }])).toEqual(new Set([id]))
  })

  test('heartbeats and acknowledgements of many leases never deadlock', async () => {
    await enqueue(queue.sql, ...Array.from({ length: 300 }, () => request()))
    const jobs: ClaimedJob[] = []
    for (let n = 0; n < 100; n += 1) jobs.push(...(await take(3)))
    const leaseIds = [...new Set(jobs.map(({ leaseId }) => leaseId))]
    // Now they lie in the table in another order than that of their ids.
    for (const leaseId of leaseIds.toReversed()) await extendLeases(queue.sql, [leaseId], 10_000)
    const held = jobs.map((job) => ({ ...job, durationMs: 1 }))
    const notTheirs = held.map((job) => ({ ...job, id: workerId }))
    for (let round = 0; round < 30; round += 1) {
      const beats = [leaseIds, leaseIds].map((ids) => extendLeases(queue.sql, ids, 10_000))
      await Promise.all([...beats, completeJobs(queue.sql, held.splice(0, 10)), completeJobs(queue.sql, notTheirs)])
    }
  })

  test('acknowledging and taking away at the same moment never do both, and never deadlock', async () => {
    for (let round = 0; round < 30; round += 1) {
      const ids = await enqueue(queue.sql, ...Array.from({ length: 20 }, () => request()))
      const jobs = (await claim(20))?.jobs ?? []
      await expireLeases()
      const [done] = await Promise.all([
        completeJobs(
          queue.sql,
          jobs.map((job) => ({ ...job, durationMs: 1 })),
        ),
        reapLeases(queue.sql),
        extendLeases(queue.sql, [String(jobs[0]?.leaseId)], 10_000),
      ])
      const states = await readJobs(queue.sql, ids)
      for (const { id, status } of states) expect(status === 'completed').toBe(done.has(id))
      await queue.sql.query('DELETE FROM jobs; DELETE FROM worker_leases')
    }
  })
})

describe('the reaper', () => {
  const reaped = async (reaper: Reaper, now: number) => (await reaper.look(now)).length > 0

  test('gives the living time to renew after it was away itself', async () => {
    await enqueue(queue.sql, request())
    await claim()
    const reaper = new Reaper(queue.sql, 1_000)
    await expireLeases()
    expect(await reaped(reaper, 100_000)).toBe(false)
    expect(await reaped(reaper, 101_000)).toBe(false)
    expect(await reaped(reaper, 102_100)).toBe(true)

    const [{ leaseId }] = await take()
    await expireLeases()
    expect(await reaped(reaper, 110_000)).toBe(false)
    // The worker lives: it renews in the time it is given.
    await extendLeases(queue.sql, [leaseId], 10_000)
    expect(await reaped(reaper, 111_000)).toBe(false)
    expect(await reaped(reaper, 112_500)).toBe(false)
  })

  test('a clock that jumps back only costs it patience', async () => {
    const reaper = new Reaper(queue.sql, 1_000)
    for (const now of [100_000, 101_000, 102_500]) await reaper.look(now)
    await enqueue(queue.sql, request())
    await claim()
    await expireLeases()
    expect(await reaped(reaper, 5_000)).toBe(false)
    expect(await reaped(reaper, 6_000)).toBe(false)
    expect(await reaped(reaper, 7_100)).toBe(true)
  })
})
