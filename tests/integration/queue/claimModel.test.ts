import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { completeJobs, failJobs, postponeJobs } from '../../../subgraphs/queue/engine/acknowledge.ts'
import type { ClaimedJob } from '../../../subgraphs/queue/engine/job.ts'
import { reapLeases } from '../../../subgraphs/queue/engine/lease.ts'
import { type ClaimDesk, done, failure, idsOf, openClaimDesk, PLATFORM, type QueueLimits } from './claimDesk.ts'
import { demo, enqueue, readJobs, request, rival } from './queueDatabase.ts'

let desk: ClaimDesk
beforeAll(async () => {
  desk = await openClaimDesk()
})
afterAll(() => desk.close())

type Known = {
  tenantId: string
  key: string | null
  priority: number
  /** In the order of arrival. */
  place: number
  /** Certainly not due before, certainly due after. */
  due: { after: number; by: number }
  attempts: number
  heldAs: ClaimedJob | null
  end: 'completed' | 'failed' | null
}

/** What the queue promises, kept by hand in one process. */
class Model {
  readonly jobs = new Map<string, Known>()
  readonly lost: ClaimedJob[] = []

  get held(): ClaimedJob[] {
    return [...this.jobs.values()].flatMap(({ heldAs }) => heldAs ?? [])
  }

  know(id: string): Known {
    return this.jobs.get(id) as Known
  }

  running(isOf: (job: Known) => boolean): number {
    return [...this.jobs.values()].filter((job) => job.heldAs && isOf(job)).length
  }

  /** @param since when the database was asked to; it did so between then and now */
  release(job: ClaimedJob, since: number, delayMs: number, change: Partial<Known> = {}) {
    const due = { after: since + delayMs - 5, by: Date.now() + delayMs + 5 }
    Object.assign(this.know(job.id), { heldAs: null, due, ...change })
  }

  /** Whether a limit keeps the job from being taken now. */
  isAtLimit({ tenantId, key }: Known, limits: QueueLimits): boolean {
    const most = (limit: number | boolean | null | undefined) => (typeof limit === 'number' ? limit : Infinity)
    return (
      this.running(() => true) >= most(limits.max_concurrent_jobs) ||
      this.running((job) => job.tenantId === tenantId) >= most(limits.max_concurrent_per_tenant) ||
      (key !== null &&
        this.running((job) => job.tenantId === tenantId && job.key === key) >= most(limits.max_concurrent_per_key))
    )
  }
}

const MAX_ATTEMPTS = 3
const few = fc.integer({ min: 1, max: 4 })
const optional = (most: number) => fc.option(fc.integer({ min: 1, max: most }))
const limitsOf = fc.record({
  max_concurrent_jobs: fc.integer({ min: 1, max: 12 }),
  max_concurrent_per_tenant: optional(5),
  max_concurrent_per_key: optional(3),
})
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('enqueue' as const),
      jobs: few,
      tenantId: fc.constantFrom(PLATFORM, demo, rival),
      key: fc.constantFrom(null, 'a', 'b'),
      priority: fc.constantFrom(1, 50, 51, 150, 151),
      delayMs: fc.constantFrom(0, 0, 0, 15),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('claim' as const),
      limit: fc.integer({ min: 1, max: 8 }),
      afterTenant: fc.constantFrom(PLATFORM, demo, rival),
      fromBelow: fc.boolean(),
      onward: fc.boolean(),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom('complete' as const, 'fail' as const, 'postpone' as const, 'late' as const),
      jobs: few,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reap' as const), jobs: few }) },
)
type Step = typeof step extends fc.Arbitrary<infer One> ? One : never

/** Takes one step in the database and in the model, and compares. */
async function take(model: Model, limits: QueueLimits, one: Step): Promise<void> {
  if (one.kind === 'enqueue') {
    const { jobs, tenantId, key: concurrencyKey, priority, delayMs } = one
    const asked = request({ tenantId, concurrencyKey, priority, delayMs, maxAttempts: MAX_ATTEMPTS })
    const after = Date.now() + delayMs - 5
    for (const id of await enqueue(
      desk.sql,
      ...Array.from({ length: jobs }, () => ({ ...asked, source: null, key: null })),
    )) {
      const due = { after, by: Date.now() + delayMs + 5 }
      const place = model.jobs.size
      model.jobs.set(id, { tenantId, key: concurrencyKey, priority, place, due, attempts: 0, heldAs: null, end: null })
    }
  } else if (one.kind === 'claim') {
    await claim(model, limits, one)
  } else if (one.kind === 'reap') {
    const [{ leaseId } = { leaseId: null }] = model.held.slice(one.jobs)
    await desk.sql.query(`UPDATE worker_leases SET expires_at = now() - interval '1 second' WHERE id = $1`, [leaseId])
    await reapLeases(desk.sql)
    for (const job of model.held.filter((held) => held.leaseId === leaseId)) {
      model.lost.push(job)
      const attempts = model.know(job.id).attempts + 1
      model.release(job, 0, 0, { attempts, end: attempts >= MAX_ATTEMPTS ? 'failed' : null })
    }
  } else {
    await settle(model, one)
  }
}

async function claim(model: Model, limits: QueueLimits, { limit, ...how }: Step & { kind: 'claim' }): Promise<void> {
  const askedAt = Date.now()
  const waiting = [...model.jobs.values()].filter(({ heldAs, end }) => !heldAs && !end)
  const surelyOpen = waiting.filter((job) => job.due.by < askedAt && !model.isAtLimit(job, limits))
  const claimed = await desk.claim(limit, how)
  if (!claimed) expect(surelyOpen).toEqual([])
  expect(idsOf(claimed).length).toBeLessThanOrEqual(limit)
  for (const job of claimed?.jobs ?? []) {
    const known = model.know(job.id)
    expect({ id: job.id, held: known.heldAs, end: known.end }).toEqual({ id: job.id, held: null, end: null })
    expect(known.due.after).toBeLessThanOrEqual(Date.now())
    expect({ atLimit: model.isAtLimit(known, limits) }).toEqual({ atLimit: false })
    expect(job.attempt).toBe(known.attempts + 1)
    known.heldAs = job
  }
  // Of one tenant and key nothing was left waiting that should have run before what was taken.
  // One that only goes on may find later what came back to where leases have passed.
  if (how.fromBelow || how.onward) return
  for (const job of claimed?.jobs ?? []) {
    const { tenantId, key, priority, place } = model.know(job.id)
    const before = surelyOpen.filter(
      (other) =>
        !other.heldAs &&
        other.tenantId === tenantId &&
        other.key === key &&
        other.priority <= priority &&
        (other.priority < priority || other.place < place),
    )
    expect(before).toEqual([])
  }
}

async function settle(model: Model, { kind, jobs: count }: { kind: string; jobs: number }): Promise<void> {
  const jobs = (kind === 'late' ? model.lost : model.held).slice(0, count)
  const ids = new Set(jobs.map(({ id }) => id))
  const since = Date.now()
  if (kind === 'late') {
    expect(await completeJobs(desk.sql, jobs.map(done))).toEqual(new Set())
    expect(
      await failJobs(
        desk.sql,
        jobs.map((job) => failure(job)),
      ),
    ).toEqual(new Map())
  } else if (kind === 'complete') {
    expect(await completeJobs(desk.sql, jobs.map(done))).toEqual(ids)
    for (const job of jobs) model.release(job, since, 0, { attempts: job.attempt, end: 'completed' })
  } else if (kind === 'postpone') {
    const postponed = jobs.map((job, index) => ({ ...job, delayMs: index % 2 ? 10 : 0 }))
    expect(await postponeJobs(desk.sql, postponed)).toEqual(ids)
    for (const job of postponed) model.release(job, since, job.delayMs)
  } else {
    const answers = await failJobs(
      desk.sql,
      jobs.map((job) => failure(job, { retryAfterMs: 8 })),
    )
    for (const job of jobs) {
      const dead = job.attempt >= MAX_ATTEMPTS
      expect(answers.get(job.id)).toEqual({ dead })
      model.release(job, since, 8, { attempts: job.attempt, end: dead ? 'failed' : null })
    }
  }
}

/** Does all that is left, under the same limits. */
async function finish(model: Model, limits: QueueLimits): Promise<void> {
  for (let rounds = 0; [...model.jobs.values()].some(({ end }) => !end); rounds += 1) {
    if (rounds > 500) throw new Error('some jobs never come')
    await settle(model, { kind: 'complete', jobs: 100 })
    await take(model, limits, {
      kind: 'claim',
      limit: 8,
      afterTenant: demo,
      fromBelow: rounds % 10 === 0,
      onward: true,
    })
    if (model.held.length === 0) await sleep(5)
  }
}

test('whatever happens to jobs: none is held twice, lost, or ended twice, and no limit is ever exceeded', async () => {
  const plan = fc.record({ limits: limitsOf, steps: fc.array(step, { minLength: 20, maxLength: 50 }) })
  await fc.assert(
    fc.asyncProperty(plan, async ({ limits, steps }) => {
      await desk.clear()
      await desk.limit(limits)
      const model = new Model()
      for (const one of steps) await take(model, limits, one)
      await finish(model, limits)
      const ids = [...model.jobs.keys()]
      const states = await readJobs(desk.sql, ids)
      expect(states.map(({ status, attempt_count }) => [status, attempt_count])).toEqual(
        ids.map((id) => [model.know(id).end, model.know(id).attempts]),
      )
      const { rows } = await desk.sql.query(`
        SELECT (SELECT coalesce(sum(unsettled), 0) FROM worker_leases)::int AS unsettled,
          (SELECT count(*) FROM job_logs WHERE message = 'completed')::int AS completed,
          (SELECT count(*) FROM dead_letter_jobs)::int AS letters`)
      const ended = (end: Known['end']) => [...model.jobs.values()].filter((job) => job.end === end).length
      expect(rows).toEqual([{ unsettled: 0, completed: ended('completed'), letters: ended('failed') }])
    }),
    { numRuns: 20, interruptAfterTimeLimit: 12_000 },
  )
}, 60_000)
