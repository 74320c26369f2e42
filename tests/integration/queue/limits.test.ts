import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { completeJobs } from '../../../subgraphs/queue/engine/acknowledge.ts'
import type { ClaimedJob } from '../../../subgraphs/queue/engine/job.ts'
import {
  type ClaimDesk,
  countByTenant,
  done,
  jobsOf,
  openClaimDesk,
  PLATFORM,
  QUEUE,
  tenantsInOrder,
} from './claimDesk.ts'
import { makeWorker, until } from './queueDatabase.ts'

let desk: ClaimDesk
beforeAll(async () => {
  desk = await openClaimDesk()
})
afterEach(() => desk.clear())
afterAll(() => desk.close())

const complete = (jobs: readonly ClaimedJob[]) => completeJobs(desk.sql, jobs.map(done))
const countByKey = async (jobs: readonly ClaimedJob[]) => {
  const { rows } = await desk.sql.query<{ key: string; jobs: number }>(
    `SELECT coalesce(concurrency_key, 'none') AS key, count(*)::int AS jobs FROM jobs WHERE id = ANY($1) GROUP BY 1`,
    [jobs.map(({ id }) => id)],
  )
  return Object.fromEntries(rows.map(({ key, jobs: count }) => [key, count]))
}

describe('jobs at once', () => {
  test('of a queue: five claimers that never stop ask for more never have more than allowed in work', async () => {
    await desk.limit({ max_concurrent_jobs: 9 })
    const [tenant] = tenantsInOrder(1) as [string]
    await desk.fill({ tenantId: tenant, jobs: 300 })
    const inWork = new Set<string>()
    let most = 0
    const work = async () => {
      const workerId = await makeWorker(desk.sql)
      for (let idle = 0; idle < 20; ) {
        const jobs = jobsOf(await desk.claim(4, { workerId }))
        for (const { id } of jobs) inWork.add(id)
        most = Math.max(most, inWork.size)
        // Nobody goes on before as many as may be in work were.
        await until(() => most >= 9)
        await sleep(1)
        for (const { id } of jobs) inWork.delete(id)
        await complete(jobs)
        idle = jobs.length > 0 ? 0 : idle + 1
      }
    }
    await Promise.all(Array.from({ length: 5 }, work))
    expect(most).toBe(9)
    const { rows } = await desk.sql.query(`SELECT status, count(*)::int AS jobs FROM jobs GROUP BY status`)
    expect(rows).toEqual([{ status: 'completed', jobs: 300 }])
  })

  test('of a tenant: the others go on, and what is done makes room for exactly as many', async () => {
    await desk.limit({ max_concurrent_per_tenant: 3 })
    const [big, small] = tenantsInOrder(2) as [string, string]
    await desk.fill({ tenantId: big, jobs: 1_000 })
    await desk.fill({ tenantId: small, jobs: 2 })
    await desk.fill({ tenantId: PLATFORM, jobs: 5 })
    const jobs = jobsOf(await desk.claim(100))
    expect(countByTenant(jobs)).toEqual({ [big]: 3, [small]: 2, [PLATFORM]: 3 })
    expect(await desk.claim(100)).toBeNull()
    await complete(jobs.filter(({ tenantId }) => tenantId !== PLATFORM).slice(0, 2))
    const freed = countByTenant(jobsOf(await desk.claim(100)))
    expect(freed[PLATFORM]).toBeUndefined()
    expect(Object.values(freed).reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(2)
    expect(freed[big] ?? 0).toBeGreaterThanOrEqual(1)
  })

  test('of a key: other keys, other tenants’ key of the same name and jobs without one go on', async () => {
    await desk.limit({ max_concurrent_per_key: 2 })
    const [one, other] = tenantsInOrder(2) as [string, string]
    for (const tenantId of [one, other]) {
      await desk.fill({ tenantId, jobs: 50, key: 'mailbox a' })
      await desk.fill({ tenantId, jobs: 5, key: 'mailbox b' })
      await desk.fill({ tenantId, jobs: 4 })
    }
    const jobs = jobsOf(await desk.claim(100))
    expect(countByTenant(jobs)).toEqual({ [one]: 8, [other]: 8 })
    expect(await countByKey(jobs)).toEqual({ 'mailbox a': 4, 'mailbox b': 4, none: 8 })
    expect(await desk.claim(100)).toBeNull()
    const [first] = jobs as [ClaimedJob]
    await complete([first])
    expect(countByTenant(jobsOf(await desk.claim(100)))).toEqual({ [first.tenantId]: 1 })
  })

  test('of 500 keys: one claim takes one job of each, and the next nothing', async () => {
    await desk.limit({ max_concurrent_per_key: 1 })
    const [tenant] = tenantsInOrder(1) as [string]
    await desk.fill({ tenantId: tenant, jobs: 2_000 })
    await desk.sql.query(`UPDATE jobs SET concurrency_key = 'mailbox ' || seq % 500`)
    const before = performance.now()
    const jobs = jobsOf(await desk.claim(1_000))
    expect(performance.now() - before).toBeLessThan(10_000)
    expect(Object.values(await countByKey(jobs))).toEqual(Array(500).fill(1))
    expect(await desk.claim(1_000)).toBeNull()
  })

  test('a claim from below keeps to them as well', async () => {
    await desk.limit({ max_concurrent_per_tenant: 7, max_concurrent_per_key: 2 })
    const [tenant] = tenantsInOrder(1) as [string]
    for (const priority of [1, 100, 200]) {
      await desk.fill({ tenantId: tenant, jobs: 5, priority, key: 'mailbox' })
      await desk.fill({ tenantId: tenant, jobs: 3, priority })
    }
    const jobs = jobsOf(await desk.claim(100, { fromBelow: true }))
    expect(await countByKey(jobs)).toEqual({ mailbox: 2, none: 5 })
  })
})

/** The time in which jobs were claimed, in seconds: what was meant, and what it may have come to. */
type Time = { least: number; most: number }

/** Four workers claim for `ms` what there is; answers the jobs they got and the time they had. */
async function claimFor(ms: number, limit = 50): Promise<{ taken: ClaimedJob[]; time: Time }> {
  const taken: ClaimedJob[] = []
  const workerIds = await Promise.all(Array.from({ length: 4 }, () => makeWorker(desk.sql)))
  const began = performance.now()
  const work = async (workerId: string) => {
    while (performance.now() - began < ms) {
      const jobs = jobsOf(await desk.claim(limit, { workerId }))
      taken.push(...jobs)
      await complete(jobs)
      await sleep(5)
    }
  }
  await Promise.all(workerIds.map(work))
  return { taken, time: { least: ms / 1_000, most: (performance.now() - began) / 1_000 } }
}

/** A bucket of a tenth of a minute, at least one token, and what flows into it meanwhile: no more, and not much less. */
function expectRate(jobs: number, perMinute: number, { least, most }: Time) {
  const allowedIn = (seconds: number) => Math.max(1, perMinute / 10) + (perMinute / 60) * seconds
  expect(jobs).toBeLessThanOrEqual(Math.ceil(allowedIn(most)))
  expect(jobs).toBeGreaterThan(allowedIn(least) * 0.8 - 1)
}

describe('rates', () => {
  test('of a queue: four workers together take the burst and then what flows in', async () => {
    await desk.limit({ rate_limit_per_minute: 1_200 })
    const [tenant] = tenantsInOrder(1) as [string]
    await desk.fill({ tenantId: tenant, jobs: 1_000 })
    const { taken, time } = await claimFor(1_500)
    expectRate(taken.length, 1_200, time)
  })

  test('of a tenant: each has its own, and one that ran dry costs another nothing', async () => {
    await desk.limit({ rate_limit_per_tenant: 600 })
    const [big, small] = tenantsInOrder(2) as [string, string]
    await desk.fill({ tenantId: big, jobs: 5_000 })
    await desk.fill({ tenantId: small, jobs: 50 })
    expect(countByTenant(jobsOf(await desk.claim(200)))).toEqual({ [big]: 60, [small]: 50 })
    await desk.fill({ tenantId: small, jobs: 10 })
    expect(countByTenant(jobsOf(await desk.claim(200)))[small]).toBe(10)
    await desk.sql.query('DELETE FROM rate_buckets')
    await desk.fill({ tenantId: small, jobs: 5_000 })
    const { taken, time } = await claimFor(1_200)
    for (const jobs of Object.values(countByTenant(taken))) expectRate(jobs, 600, time)
  })

  test('of a key: by tenant, and jobs without one are not held up', async () => {
    await desk.limit({ rate_limit_per_key: 300 })
    const [one, other] = tenantsInOrder(2) as [string, string]
    for (const tenantId of [one, other]) await desk.fill({ tenantId, jobs: 500, key: 'mailbox' })
    await desk.fill({ tenantId: one, jobs: 200 })
    // So many in a claim that one of each worker is enough for those without a key.
    const { taken, time } = await claimFor(1_200, 200)
    const { mailbox = 0, none } = await countByKey(taken)
    expect(none).toBe(200)
    expectRate(mailbox / 2, 300, time)
  })

  test('of a key: a claim from below takes no more than the bucket holds', async () => {
    await desk.limit({ rate_limit_per_key: 60 })
    const [tenant] = tenantsInOrder(1) as [string]
    for (const priority of [1, 100, 200]) await desk.fill({ tenantId: tenant, jobs: 10, priority, key: 'mailbox' })
    expect(jobsOf(await desk.claim(100, { fromBelow: true }))).toHaveLength(6)
  })

  test('a rate below ten a minute still lets one job through at once', async () => {
    await desk.limit({ rate_limit_per_minute: 1 })
    await desk.fill({ tenantId: PLATFORM, jobs: 5 })
    expect(jobsOf(await desk.claim(10))).toHaveLength(1)
    expect(await desk.claim(10)).toBeNull()
  })

  test('tokens are spent on what was taken, not on what was asked for', async () => {
    await desk.limit({ rate_limit_per_minute: 600, rate_limit_per_tenant: 600, rate_limit_per_key: 600 })
    const [tenant] = tenantsInOrder(1) as [string]
    for (let claims = 0; claims < 20; claims += 1) expect(await desk.claim(60)).toBeNull()
    await desk.fill({ tenantId: tenant, jobs: 7, key: 'mailbox' })
    expect(jobsOf(await desk.claim(60))).toHaveLength(7)
    const { rows } = await desk.sql.query(
      'SELECT scope, tokens FROM rate_buckets WHERE queue_name = $1 ORDER BY scope',
      [QUEUE],
    )
    expect(rows).toEqual(['key', 'queue', 'tenant'].map((scope) => ({ scope, tokens: 53 })))
  })

  test('a clock that was set back by an hour does not stop a queue for that hour', async () => {
    await desk.limit({ rate_limit_per_minute: 60 })
    await desk.fill({ tenantId: PLATFORM, jobs: 20 })
    expect(jobsOf(await desk.claim(10))).toHaveLength(6)
    await desk.sql.query(`UPDATE rate_buckets SET refilled_at = refilled_at + interval '1 hour'`)
    expect(jobsOf(await desk.claim(10)).length).toBeGreaterThanOrEqual(6)
  })
})
