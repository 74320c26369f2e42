import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { completeJobs } from '../../../subgraphs/queue/engine/acknowledge.ts'
import { expireJobs } from '../../../subgraphs/queue/engine/maintenance.ts'
import { type ClaimDesk, done, idsOf, jobsOf, openClaimDesk, tenantsInOrder } from './claimDesk.ts'
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
    await desk.claim(1)
    took.push(performance.now() - before)
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
      expect(late).toBeLessThan(250)
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
    expect((ran[0] ?? 0) - dueAt.getTime()).toBeLessThan(300)
    expect((ran[0] ?? 0) - dueAt.getTime()).toBeGreaterThanOrEqual(-2)
  })

  test('50,000 that are not due yet do not slow a claim', async () => {
    const [tenant] = tenantsInOrder(1) as [string]
    await desk.fill({ tenantId: tenant, jobs: 100 })
    await medianClaim(10)
    const without = await medianClaim(30)
    await desk.fill({ tenantId: tenant, jobs: 50_000, delayMs: 3_600_000, priority: 1 })
    await desk.owner.query('ANALYZE jobs')
    expect(await medianClaim(30)).toBeLessThan(without * 2 + 3)
  })

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
  test('is never claimed after it, and is marked by the clean-up', async () => {
    const [id, other] = (await enqueue(
      desk.sql,
      request({ expiresAt: new Date(Date.now() + 60) }),
      request({ expiresAt: new Date(Date.now() + 60_000) }),
    )) as [string, string]
    expect(await expireJobs(desk.sql)).toBe(0)
    await sleep(80)
    expect(idsOf(await desk.claim(10))).toEqual([other])
    expect(await statusOf(id)).toBe('queued')
    expect(await expireJobs(desk.sql)).toBe(1)
    expect(await statusOf(id)).toBe('expired')
    expect(await desk.claim(10)).toBeNull()
  })

  test('may finish when it began in time', async () => {
    const [id] = (await enqueue(desk.sql, request({ expiresAt: new Date(Date.now() + 60) }))) as [string]
    const jobs = jobsOf(await desk.claim(1))
    await sleep(80)
    expect(await expireJobs(desk.sql)).toBe(0)
    expect(await completeJobs(desk.sql, jobs.map(done))).toEqual(new Set([id]))
    expect(await statusOf(id)).toBe('completed')
  })
})
