import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { completeJobs } from '../../../subgraphs/queue/engine/acknowledge.ts'
import type { Claim } from '../../../subgraphs/queue/engine/claim.ts'
import type { ClaimedJob } from '../../../subgraphs/queue/engine/job.ts'
import { expireJobs } from '../../../subgraphs/queue/engine/maintenance.ts'
import { QueueLine } from '../../../subgraphs/queue/engine/queueLine.ts'
import { eventually } from '../../support/eventually.ts'
import {
  type ClaimDesk,
  countByTenant,
  done,
  idsOf,
  jobsOf,
  openClaimDesk,
  QUEUE,
  tenantsInOrder,
} from './claimDesk.ts'
import { enqueue, readJobs, request, until } from './queueDatabase.ts'
import { startRunner, task } from './runner.ts'

let desk: ClaimDesk
beforeAll(async () => {
  desk = await openClaimDesk()
})
afterEach(() => desk.clear())
afterAll(() => desk.close())

const dueAtOf = async (id: string) => (await readJobs(desk.sql, [id]))[0]?.run_at ?? new Date(0)
const statusOf = async (id: string) => (await readJobs(desk.sql, [id]))[0]?.status

/** Half of so many claims of one job each were faster, in milliseconds. */
async function medianClaim(claims: number): Promise<number> {
  const took: number[] = []
  for (let n = 0; n < claims; n += 1) {
    const before = performance.now()
    const claim = await desk.claim(1)
    took.push(performance.now() - before)
    await completeJobs(desk.sql, jobsOf(claim).map(done), () => true)
  }
  return took.toSorted((a, b) => a - b)[Math.floor(claims / 2)] as number
}

describe('a delayed job', () => {
  test.each<{ delayMs?: number; runAt?: number }>([{ delayMs: 250 }, { runAt: 250 }])(
    'is claimed when it is due, not before and not much after: %j',
    async (when) => {
      const now = Date.now()
      const [id] = (await enqueue(desk.sql, request(when.runAt ? { runAt: new Date(now + when.runAt) } : when))) as [
        string,
      ]
      const dueAt = await dueAtOf(id)
      expect(dueAt.getTime() - now).toBeGreaterThanOrEqual(249)
      const claimed = await until(() => desk.claim(1))
      const late = Date.now() - dueAt.getTime()
      expect(idsOf(claimed)).toEqual([id])
      expect(late).toBeGreaterThanOrEqual(-2)
      expect(late).toBeLessThan(5_000)
    },
  )

  test('is run by a worker that polls, without anybody announcing it', async () => {
    const ran: number[] = []
    const runner = startRunner(desk.queue, [
      task(async () => {
        ran.push(Date.now())
        return undefined
      }),
    ])
    const [id] = (await enqueue(desk.sql, request({ delayMs: 300 }))) as [string]
    await until(() => ran.length > 0)
    const dueAt = await dueAtOf(id)
    await runner.stop(1_000)
    expect((ran[0] ?? 0) - dueAt.getTime()).toBeLessThan(5_000)
    expect((ran[0] ?? 0) - dueAt.getTime()).toBeGreaterThanOrEqual(-2)
  })

  test('50,000 that are not due yet do not slow a claim', async () => {
    const [tenant] = tenantsInOrder(1) as [string]
    await desk.fill({ tenantId: tenant, jobs: 2_000 })
    await medianClaim(10)
    const without = await medianClaim(30)
    await desk.fill({ tenantId: tenant, jobs: 50_000, delayMs: 3_600_000, priority: 1 })
    await desk.owner.query('ANALYZE jobs')
    // Measured again while the machine has other things to do: what is slow by itself stays slow.
    await eventually(
      () => medianClaim(30),
      (median) => median < without * 2 + 3,
      40_000,
    )
  }, 120_000)

  test('2,500 that come due at once are all taken, earliest first', async () => {
    const [tenant] = tenantsInOrder(1) as [string]
    await desk.fill({ tenantId: tenant, jobs: 2_500, delayMs: 50 })
    await sleep(60)
    const taken: string[] = []
    for (let claim = await desk.claim(500); claim; claim = await desk.claim(500)) taken.push(...idsOf(claim))
    const { rows } = await desk.sql.query<{ id: string }>('SELECT id FROM jobs ORDER BY seq')
    expect(taken).toEqual(rows.map(({ id }) => id))
  })
})

describe('a job with an expiry', () => {
  const expireNow = (id: string) => desk.sql.query('UPDATE jobs SET expires_at = clock_timestamp() WHERE id = $1', [id])

  test('is never claimed after it, and is marked by the clean-up', async () => {
    const [id, other] = (await enqueue(
      desk.sql,
      request({ expiresAt: new Date(Date.now() + 60_000) }),
      request({ expiresAt: new Date(Date.now() + 60_000) }),
    )) as [string, string]
    expect(await expireJobs(desk.sql)).toBe(0)
    await expireNow(id)
    expect(idsOf(await desk.claim(10))).toEqual([other])
    expect(await statusOf(id)).toBe('queued')
    expect(await expireJobs(desk.sql)).toBe(1)
    expect(await statusOf(id)).toBe('expired')
    expect(await desk.claim(10)).toBeNull()
  })

  test('may finish when it began in time', async () => {
    const [id] = (await enqueue(desk.sql, request({ expiresAt: new Date(Date.now() + 60_000) }))) as [string]
    const jobs = jobsOf(await desk.claim(1))
    await expireNow(id)
    expect(await expireJobs(desk.sql)).toBe(0)
    expect(await completeJobs(desk.sql, jobs.map(done))).toEqual(new Set([id]))
    expect(await statusOf(id)).toBe('completed')
  })
})

describe('delayed jobs of many tenants', () => {
  const dueFor = (ms: number) =>
    desk.owner.query(
      `UPDATE jobs SET run_at = run_at - $1 * interval '1 millisecond'
    WHERE NOT is_due`,
      [ms],
    )

  test('one tenant’s 100,000 that are due hold up none of nine others’ ten', async () => {
    const [big, ...small] = tenantsInOrder(10) as [string, ...string[]]
    await desk.fill({ tenantId: big, jobs: 100_000, delayMs: 30_000 })
    for (const tenantId of small) await desk.fill({ tenantId, jobs: 10, delayMs: 60_000 })
    await dueFor(61_000)
    expect(countByTenant(jobsOf(await desk.claim(100)))).toEqual(
      Object.fromEntries([big, ...small].map((tenantId) => [tenantId, 10])),
    )
    expect(countByTenant(jobsOf(await desk.claim(100, { onward: true })))).toEqual({ [big]: 100 })
  }, 120_000)

  test('250 tenants with a backlog each are served in turn, the last like the first', async () => {
    const tenants = tenantsInOrder(250)
    await desk.sql.query(
      `INSERT INTO jobs (tenant_id, id, queue_name, job_type, payload, run_at, is_due)
       SELECT t, gen_random_uuid(), $2, 'echo', '{}', clock_timestamp() - n * interval '1 second', false
       FROM unnest($1::uuid[]) AS t, generate_series(1, 40) AS n`,
      [tenants, QUEUE],
    )
    const line = new QueueLine(QUEUE, 100)
    const served: ClaimedJob[] = []
    for (let turn = 0; turn < 5; turn += 1) {
      const claim = (await desk.claim(100, { afterTenant: line.afterTenant })) as Claim
      line.claimed(claim)
      served.push(...claim.jobs)
    }
    expect(Object.keys(countByTenant(served))).toHaveLength(250)
    expect(countByTenant(served)).toEqual(Object.fromEntries(tenants.map((tenantId) => [tenantId, 2])))
  })

  test('are all promoted in the end, those that are not due are not', async () => {
    const tenants = tenantsInOrder(3)
    for (const tenantId of tenants) await desk.fill({ tenantId, jobs: 900, delayMs: 60_000 })
    await dueFor(61_000)
    await desk.fill({ tenantId: tenants[0] ?? '', jobs: 5, delayMs: 60_000 })
    const taken: string[] = []
    for (let claim = await desk.claim(1_000); claim; claim = await desk.claim(1_000)) taken.push(...idsOf(claim))
    expect(new Set(taken).size).toBe(2_700)
  })
})
