import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { completeJobs } from '../../../subgraphs/queue/engine/acknowledge.ts'
import type { Claim } from '../../../subgraphs/queue/engine/claim.ts'
import type { ClaimedJob } from '../../../subgraphs/queue/engine/job.ts'
import { QueueLine } from '../../../subgraphs/queue/engine/queueLine.ts'
import {
  type ClaimDesk,
  countByTenant,
  done,
  idsOf,
  jobsOf,
  openClaimDesk,
  PLATFORM,
  QUEUE,
  tenantsInOrder,
} from './claimDesk.ts'
import { enqueue, request, until } from './queueDatabase.ts'
import { startRunner, task } from './runner.ts'

let desk: ClaimDesk
beforeAll(async () => {
  desk = await openClaimDesk()
})
afterEach(() => desk.clear())
afterAll(() => desk.close())

const each = (tenants: string[], jobs: number) => Object.fromEntries(tenants.map((tenant) => [tenant, jobs]))
const complete = (claim: Claim | null) => completeJobs(desk.sql, jobsOf(claim).map(done))
const fillAll = async (tenants: string[], jobs: number) => {
  for (const tenantId of tenants) await desk.fill({ tenantId, jobs })
}
const priorityOf = async (jobs: ClaimedJob[]) => {
  const { rows } = await desk.sql.query<{ id: string; priority: number; seq: string }>(
    'SELECT id, priority, seq FROM jobs WHERE id = ANY($1)',
    [jobs.map(({ id }) => id)],
  )
  const found = new Map(rows.map((row) => [row.id, row]))
  return jobs.map(({ id }) => found.get(id) as (typeof rows)[number])
}

describe('between tenants', () => {
  test('one tenant’s 20,000 jobs hold up none of nine others’ ten', async () => {
    const [big, ...small] = tenantsInOrder(10) as [string, ...string[]]
    await desk.fill({ tenantId: big, jobs: 20_000 })
    await fillAll(small, 10)
    const claims = [await desk.claim(50), await desk.claim(50)]
    for (const claim of claims) expect(countByTenant(jobsOf(claim))).toEqual(each([big, ...small], 5))
    expect(countByTenant(jobsOf(await desk.claim(50)))).toEqual({ [big]: 50 })
  })

  test('what some cannot use goes to those who can, in equal parts', async () => {
    const [little, some, much] = tenantsInOrder(3) as [string, string, string]
    await desk.fill({ tenantId: much, jobs: 500 })
    await desk.fill({ tenantId: some, jobs: 20 })
    await desk.fill({ tenantId: little, jobs: 3 })
    expect(countByTenant(jobsOf(await desk.claim(33)))).toEqual({ [little]: 3, [some]: 15, [much]: 15 })
    expect(countByTenant(jobsOf(await desk.claim(33)))).toEqual({ [some]: 5, [much]: 28 })
  })

  test('more tenants than a claim has room for get equally many turns', async () => {
    const tenants = tenantsInOrder(25)
    await fillAll(tenants, 20)
    const line = new QueueLine(QUEUE, 10)
    const served: ClaimedJob[] = []
    for (let turn = 0; turn < 10; turn += 1) {
      const claim = (await desk.claim(10, { afterTenant: line.afterTenant, ...line.takeTurn() })) as Claim
      expect(Object.keys(countByTenant(claim.jobs))).toHaveLength(10)
      line.claimed(claim)
      served.push(...claim.jobs)
    }
    expect(countByTenant(served)).toEqual(each(tenants, 4))
  })

  test('tenants whose jobs are all in work do not stand in the way of those behind them', async () => {
    const tenants = tenantsInOrder(12)
    const [last] = tenants.splice(-1) as [string]
    await fillAll(tenants, 1)
    expect(jobsOf(await desk.claim(11))).toHaveLength(11)
    await desk.fill({ tenantId: last, jobs: 5 })
    expect(countByTenant(jobsOf(await desk.claim(2)))).toEqual({ [last]: 2 })
  })

  test.each([
    ['jobs at once', { max_concurrent_per_tenant: 1 }],
    ['rate', { rate_limit_per_tenant: 1 }],
  ])('tenants at their limit of %s do not stand in the way of those behind them', async (_limit, limits) => {
    await desk.limit(limits)
    const tenants = tenantsInOrder(12)
    const [last] = tenants.splice(-1) as [string]
    await fillAll(tenants, 3)
    expect(countByTenant(jobsOf(await desk.claim(100)))).toEqual(each(tenants, 1))
    await desk.fill({ tenantId: last, jobs: 5 })
    expect(countByTenant(jobsOf(await desk.claim(3)))).toEqual({ [last]: 1 })
    expect(await desk.claim(3)).toBeNull()
  })

  test('tenants that may have one job at once each get on equally fast, the first to come like the last', async () => {
    await desk.limit({ max_concurrent_per_tenant: 1 })
    const tenants = tenantsInOrder(12)
    await fillAll(tenants, 200)
    const ran: Record<string, number> = each(tenants, 0)
    const runner = startRunner(desk.queue, [
      task(
        async ([item]) => {
          await sleep(5)
          if (item) ran[item.job.tenantId] = (ran[item.job.tenantId] ?? 0) + 1
          return undefined
        },
        { concurrency: 4 },
      ),
    ])
    await until(() => Object.values(ran).some((jobs) => jobs >= 30))
    await runner.stop(1_000)
    expect(Math.min(...Object.values(ran))).toBeGreaterThan(15)
  })

  test('the platform’s own tenant has its share like any other', async () => {
    const [tenant] = tenantsInOrder(1) as [string]
    await fillAll([PLATFORM], 3)
    expect(countByTenant(jobsOf(await desk.claim(1)))).toEqual({ [PLATFORM]: 1 })
    await fillAll([tenant], 10)
    expect(countByTenant(jobsOf(await desk.claim(4)))).toEqual({ [PLATFORM]: 2, [tenant]: 2 })
    expect(countByTenant(jobsOf(await desk.claim(1, { afterTenant: tenant })))).toEqual({ [tenant]: 1 })
  })
})

describe('a worker with four jobs at once', () => {
  test('keeps few slow jobs at hand, so that another tenant’s ten come soon after one’s 20,000', async () => {
    const [big, small] = tenantsInOrder(2) as [string, string]
    await desk.fill({ tenantId: big, jobs: 20_000 })
    const ran: string[] = []
    const runner = startRunner(desk.queue, [
      task(
        async ([item]) => {
          await sleep(40)
          if (item) ran.push(item.job.tenantId)
          return undefined
        },
        { concurrency: 4 },
      ),
    ])
    try {
      // Four in work, as many to come for a twentieth of a second or two, and the outcomes that are on their way: those
      // may be more for a while.
      await until(() => ran.length > 20 && runner.held <= 28)
      await desk.fill({ tenantId: small, jobs: 10 })
      const before = ran.length
      await until(() => ran.filter((tenantId) => tenantId === small).length === 10)
      // Where the tenth came, however late we look.
      expect(ran.lastIndexOf(small) - before).toBeLessThan(60)
    } finally {
      await runner.stop(1_000)
    }
  })
})

describe('within a tenant', () => {
  test('jobs run in the exact order of priority, then arrival, over many claims', async () => {
    const priorities = Array.from({ length: 200 }, (_, index) => 1 + ((index * 89) % 211))
    await enqueue(desk.sql, ...priorities.map((priority) => request({ priority })))
    const taken: ClaimedJob[] = []
    for (let claim = await desk.claim(7); claim; claim = await desk.claim(7)) taken.push(...claim.jobs)
    const rows = await priorityOf(taken)
    const sorted = rows.toSorted((a, b) => a.priority - b.priority || Number(a.seq) - Number(b.seq))
    expect(rows).toHaveLength(200)
    expect(rows).toEqual(sorted)
  })

  test('of every tenant’s share the high priorities come first, then the normal, then the low', async () => {
    const [mixed, normal, low] = tenantsInOrder(3) as [string, string, string]
    await desk.fill({ tenantId: low, jobs: 20, priority: 200 })
    await desk.fill({ tenantId: normal, jobs: 20, priority: 60 })
    await desk.fill({ tenantId: mixed, jobs: 20, priority: 120 })
    await desk.fill({ tenantId: mixed, jobs: 5, priority: 50 })
    const rows = await priorityOf(jobsOf(await desk.claim(30)))
    const expected = [...Array(5).fill(50), ...Array(15), ...Array(10).fill(200)]
    for (let at = 5; at < 20; at += 1) expected[at] = at < 15 ? (at % 2 ? 60 : 120) : 60
    expect(rows.map(({ priority }) => priority)).toEqual(expected)
  })
})

describe('low and normal priorities', () => {
  test('a claim from below takes them first, then what is above them, and no job twice', async () => {
    const [tenant] = tenantsInOrder(1) as [string]
    await desk.fill({ tenantId: tenant, jobs: 5, priority: 1 })
    await desk.fill({ tenantId: tenant, jobs: 5, priority: 100 })
    await desk.fill({ tenantId: tenant, jobs: 5, priority: 151 })
    const claim = await desk.claim(12, { fromBelow: true })
    const rows = await priorityOf(jobsOf(claim))
    expect(new Set(idsOf(claim)).size).toBe(12)
    expect(rows.map(({ priority }) => priority)).toEqual([...Array(5).fill(151), ...Array(5).fill(100), 1, 1])
    await complete(claim)
    expect(idsOf(await desk.claim(12))).toHaveLength(3)
  })

  test('a claim from below leaves half of itself to begin with the normal ones', async () => {
    const [tenant] = tenantsInOrder(1) as [string]
    for (const priority of [1, 100, 200]) await desk.fill({ tenantId: tenant, jobs: 100, priority })
    const count = async (limit: number) => {
      const rows = await priorityOf(jobsOf(await desk.claim(limit, { fromBelow: true })))
      return [200, 100, 1].map((wanted) => rows.filter(({ priority }) => priority === wanted).length)
    }
    expect(await count(20)).toEqual([10, 10, 0])
    // With room for one it is the turn of either, as chance has it.
    let low = 0
    let normal = 0
    for (let n = 0; n < 40; n += 1) {
      const [first = 0, second = 0] = await count(1)
      low += first
      normal += second
    }
    expect(low + normal).toBe(40)
    expect(Math.min(low, normal)).toBeGreaterThan(5)
  })

  test.each([
    ['low', 300],
    ['normal', 100],
  ])('%s ones are all done under floods of high and of low ones that never end', async (_band, priority) => {
    const [tenant] = tenantsInOrder(1) as [string]
    const wanted = await enqueue(desk.sql, ...Array.from({ length: 60 }, () => request({ priority })))
    const floods = [1, 400]
    for (const flood of floods) await desk.fill({ tenantId: tenant, jobs: 10_000, priority: flood })
    const ran = new Set<string>()
    const runner = startRunner(desk.queue, [
      task(async ([item]) => {
        await sleep(2)
        if (item) ran.add(item.job.id)
        return undefined
      }),
    ])
    const waiting = `SELECT count(*)::int AS jobs FROM jobs WHERE status = 'queued' AND priority = $1`
    let fewest = Number.POSITIVE_INFINITY
    await until(async () => {
      for (const flood of floods) {
        const { rows } = await desk.sql.query<{ jobs: number }>(waiting, [flood])
        fewest = Math.min(fewest, rows[0]?.jobs ?? 0)
        if ((rows[0]?.jobs ?? 0) < 8_000) await desk.fill({ tenantId: tenant, jobs: 4_000, priority: flood })
      }
      return wanted.every((id) => ran.has(id))
    })
    await runner.stop(1_000)
    expect(fewest).toBeGreaterThan(500)
  })
})
