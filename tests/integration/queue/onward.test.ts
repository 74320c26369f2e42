import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { completeJobs, failJobs, postponeJobs } from '../../../subgraphs/queue/engine/acknowledge.ts'
import type { ClaimedJob } from '../../../subgraphs/queue/engine/job.ts'
import { type ClaimDesk, done, failure, idsOf, jobsOf, openClaimDesk, QUEUE, tenantsInOrder } from './claimDesk.ts'
import { explainInside } from './explainInside.ts'
import { enqueue, request } from './queueDatabase.ts'

let desk: ClaimDesk
beforeAll(async () => {
  desk = await openClaimDesk()
})
afterEach(() => desk.clear())
afterAll(() => desk.close())

const onward = (limit: number, changes: object = {}) => desk.claim(limit, { onward: true, ...changes })
const complete = (jobs: readonly ClaimedJob[]) => completeJobs(desk.sql, jobs.map(done))
const prioritiesOf = async (jobs: readonly ClaimedJob[]) => {
  const { rows } = await desk.sql.query<{ id: string; priority: number }>('SELECT id, priority FROM jobs')
  const found = new Map(rows.map(({ id, priority }) => [id, priority]))
  return jobs.map(({ id }) => found.get(id))
}

describe('a claim that goes on from where the others are', () => {
  test('takes no job twice and leaves none, in the exact order of priority, whoever holds how much', async () => {
    const [tenant] = tenantsInOrder(1) as [string]
    for (const priority of [200, 60, 100, 1]) await desk.fill({ tenantId: tenant, jobs: 150, priority })
    const claims: ClaimedJob[][] = []
    for (let claim = await onward(40); claim; claim = await onward(40)) {
      claims.push(claim.jobs)
      // Some leases end, some are half done, the others stay held.
      if (claims.length % 3 === 0) await complete((claims.at(-2) ?? []).slice(0, claims.length % 2 ? 20 : undefined))
    }
    const taken = claims.flat()
    expect(new Set(taken.map(({ id }) => id)).size).toBe(600)
    expect(taken).toHaveLength(600)
    const priorities = await prioritiesOf(taken)
    expect(priorities).toEqual(priorities.toSorted((a, b) => Number(a) - Number(b)))
  })

  test('sees at once what is new and runs before what it has reached', async () => {
    const [tenant] = tenantsInOrder(1) as [string]
    await desk.fill({ tenantId: tenant, jobs: 100 })
    for (let n = 0; n < 3; n += 1) await onward(10)
    const urgent = await enqueue(desk.sql, ...[70, 5].map((priority) => request({ tenantId: tenant, priority })))
    expect(idsOf(await onward(10)).slice(0, 2)).toEqual(urgent.toReversed())
    const [again] = await enqueue(desk.sql, request({ tenantId: tenant, priority: 70 }))
    expect(idsOf(await onward(10))[0]).toBe(again)
  })

  test('shares equally between tenants, those that nobody holds anything of among them', async () => {
    const [first, second, third] = tenantsInOrder(3) as [string, string, string]
    await desk.fill({ tenantId: second, jobs: 500 })
    await onward(50)
    await onward(50)
    await desk.fill({ tenantId: third, jobs: 10 })
    await desk.fill({ tenantId: first, jobs: 10 })
    const counts = new Map<string, number>()
    for (const { tenantId } of jobsOf(await onward(30))) counts.set(tenantId, (counts.get(tenantId) ?? 0) + 1)
    expect(counts).toEqual(
      new Map([
        [first, 10],
        [second, 10],
        [third, 10],
      ]),
    )
  })

  test('finds what came back behind it within a quarter of a second, and at once if there is nothing else', async () => {
    const [tenant] = tenantsInOrder(1) as [string]
    await desk.fill({ tenantId: tenant, jobs: 2_000 })
    const [first, second, third] = jobsOf(await onward(10)) as [ClaimedJob, ClaimedJob, ClaimedJob]
    await onward(10)
    await postponeJobs(desk.sql, [{ ...first, delayMs: 0 }])
    await failJobs(desk.sql, [failure(second, { retryAfterMs: 1 })])
    await sleep(5)
    const back: string[] = []
    // Counted, not timed: a busy machine claims less often. There is work for two hundred.
    for (let claims = 0; back.length < 2 && claims < 60; claims += 1) {
      back.push(...idsOf(await onward(10)).filter((id) => id === first.id || id === second.id))
      await sleep(10)
    }
    expect(back.toSorted()).toEqual([first.id, second.id].toSorted())

    while (jobsOf(await onward(1_000)).length > 0);
    await postponeJobs(desk.sql, [{ ...third, delayMs: 0 }])
    expect(idsOf(await onward(10))).toEqual([third.id])
  })

  test('two that claim at the same time never get the same job, and together get all', async () => {
    for (const tenantId of tenantsInOrder(4)) await desk.fill({ tenantId, jobs: 250 })
    const taken: string[] = []
    const claimAll = async () => {
      for (let claim = await onward(17); claim; claim = await onward(17)) taken.push(...idsOf(claim))
    }
    await Promise.all([claimAll(), claimAll(), claimAll()])
    expect(taken).toHaveLength(1_000)
    expect(new Set(taken).size).toBe(1_000)
  })

  test('visits none of the 6,000 jobs that others hold', async () => {
    for (const tenantId of tenantsInOrder(4)) await desk.fill({ tenantId, jobs: 2_000 })
    await desk.owner.query('VACUUM ANALYZE jobs')
    for (let n = 0; n < 6; n += 1) await onward(1_000)
    const claim = (fromSeq: number) =>
      `SELECT * FROM claim_jobs('${QUEUE}', '${desk.workerId}', gen_random_uuid(), 20, 60000, '${desk.workerId}', false, ${fromSeq})`
    const visited = (plans: string) =>
      [...plans.matchAll(/Rows Removed by Filter: (\d+)/g)].reduce((sum, [, rows]) => sum + Number(rows), 0)
    // At one go: a quarter of a second later it would look all over.
    const lookedJustNow = 'UPDATE worker_leases SET looked_all_over_at = clock_timestamp()'
    const plans = await explainInside(desk.queue, `${lookedJustNow}; ${claim(1)}`)
    expect(plans).toMatch(/Index Cond: .*priority >= .*seq >=/)
    expect(visited(plans)).toBeLessThan(20)
    // What it is spared: a look all over goes past each of them.
    expect(visited(await explainInside(desk.queue, claim(0)))).toBeGreaterThan(1_000)
  })

  test('takes a lease that does not say how far it reaches for what it is, and looks all over', async () => {
    const [tenant] = tenantsInOrder(1) as [string]
    await desk.fill({ tenantId: tenant, jobs: 30 })
    const held = idsOf(await onward(10))
    await desk.sql.query(
      'UPDATE worker_leases SET reach_tenants = NULL, reach_priorities = NULL, reach_seqs = NULL, first_seq = NULL',
    )
    const next = idsOf(await onward(10))
    expect(next).toHaveLength(10)
    expect(next.filter((id) => held.includes(id))).toEqual([])
  })
})

describe('a claim’s size', () => {
  const text = (length: number, n: number) =>
    Array.from({ length: length / 8 }, (_, at) => (at * 7919 + n * 104_729).toString(36).padStart(8, '0')).join('')

  test.each([
    ['packed by PostgreSQL', (n: number) => `${n}`.padStart(900_000, 'x')],
    ['not to be packed', (n: number) => text(900_000, n)],
  ])('ends at 8 MiB of payloads, %s, and the rest comes with the next', async (_how, textOf) => {
    await enqueue(desk.sql, ...Array.from({ length: 20 }, (_, n) => request({ payload: { text: textOf(n) } })))
    const sizes: number[] = []
    const seen = new Set<string>()
    for (let jobs = jobsOf(await onward(1_000)); jobs.length > 0; jobs = jobsOf(await onward(1_000))) {
      sizes.push(jobs.length)
      for (const { id, payloadLength } of jobs) {
        seen.add(id)
        expect(payloadLength).toBeGreaterThan(900_000)
      }
    }
    // The tenth begins below eight times 1,048,576 and ends above.
    expect(sizes).toEqual([10, 10])
    expect(seen.size).toBe(20)
  })

  test('is not limited by small payloads, of which a thousand come at once', async () => {
    const [tenant] = tenantsInOrder(1) as [string]
    await desk.fill({ tenantId: tenant, jobs: 1_500 })
    expect(jobsOf(await onward(1_000))).toHaveLength(1_000)
  })
})
