import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { Registry } from 'prom-client'
import { claimJobs } from '../../../subgraphs/queue/engine/claim.ts'
import { computeMetrics } from '../../../subgraphs/queue/engine/jobMetrics.ts'
import { addQueueMetrics } from '../../../subgraphs/queue/queueMetrics.ts'
import { demo, enqueue, makeWorker, request, rival, until } from './queueDatabase.ts'
import { type Answer, OPERATOR, type QueueTier, SUPPORT, startQueueTier, userOf } from './queueTier.ts'

let tier: QueueTier
const owner = userOf(demo, 'owner')
const stranger = userOf(rival, 'viewer')
beforeAll(async () => {
  tier = await startQueueTier()
})
afterAll(() => tier?.stop())

beforeEach(async () => {
  for (const table of ['jobs', 'job_logs', 'job_metrics', 'worker_leases', 'dead_letter_jobs']) {
    await tier.sql.query(`DELETE FROM ${table}`)
  }
  await tier.sql.query('UPDATE job_queues SET is_active = true')
})

const NAME = 'billing-sync'
const HOW = `{ queues { name pending processing oldestPendingSeconds depth { high normal low delayed }
  throughputPerMinute errorRate health } }`
type Caller = typeof owner
const ofQueue = ({ data, errors }: Answer, name = NAME) => {
  expect(errors).toBeUndefined()
  return data.queues.find((queue: { name: string }) => queue.name === name)
}
const look = async (caller: Caller) => ofQueue(await tier.ask(HOW, {}, caller))
const waiting = (priority: number, changes: object = {}) => request({ queueName: NAME, priority, ...changes })
const claim = async (limit: number) =>
  claimJobs(tier.sql, { workerId: await makeWorker(tier.sql), queueName: NAME, limit, leaseMs: 60_000 })
const hold = (seconds: number) =>
  tier.sql.query(
    `UPDATE jobs SET queued_at = clock_timestamp() - $1 * interval '1 second',
    run_at = clock_timestamp() - $1 * interval '1 second' WHERE is_due`,
    [seconds],
  )

/** Attempts that ended two minutes ago, within the five that count. */
async function ended(counts: { completed?: number; failed?: number; tenantId?: string; secondsAgo?: number }) {
  const { completed = 0, failed = 0, tenantId = demo, secondsAgo = 120 } = counts
  await tier.sql.query(
    `WITH made AS (INSERT INTO jobs (tenant_id, id, queue_name, job_type, payload, status, created_at)
       SELECT $1, gen_random_uuid(), $2, 'echo', '{}', 'completed', clock_timestamp() - $5 * interval '1 second'
       FROM generate_series(1, $3::int + $4::int)
       RETURNING id)
     INSERT INTO job_logs (tenant_id, job_id, created_at, attempt_number, log_level, message, duration_ms, wait_ms)
     SELECT $1, id, clock_timestamp() - $5 * interval '1 second', 1,
       CASE WHEN row_number() OVER () <= $3 THEN 'info' ELSE 'warning' END, 'test', 1, 1 FROM made`,
    [tenantId, NAME, completed, failed, secondsAgo],
  )
  await tier.sql.query(
    `UPDATE chore_marks SET reached_at = date_trunc('minute', clock_timestamp()) - interval '9 minutes' WHERE name = 'minute_metrics'`,
  )
  await computeMetrics(tier.sql)
}

describe('how deep a queue is', () => {
  test('is told by priority; what waits for its time stands apart, what is in work is in none of it', async () => {
    const later = new Date(Date.now() + 3_600_000).toISOString()
    await enqueue(tier.sql, waiting(1), waiting(2))
    await claim(2)
    await enqueue(
      tier.sql,
      ...[1, 50, 51, 100, 150, 151].map((priority) => waiting(priority)),
      waiting(7, { runAt: later }),
    )
    expect(await look(owner)).toMatchObject({
      depth: { high: 2, normal: 3, low: 1, delayed: 1 },
      pending: 7,
      processing: 2,
    })
  })

  test('counts a job whose time has come though no worker has looked', async () => {
    const [id] = await enqueue(tier.sql, waiting(1, { runAt: new Date(Date.now() + 3_600_000).toISOString() }))
    await tier.sql.query(`UPDATE jobs SET run_at = clock_timestamp() - interval '90 seconds' WHERE id = $1`, [id])
    await tier.sql.query(`UPDATE jobs SET queued_at = clock_timestamp() - interval '2 hours' WHERE id = $1`, [id])
    const queue = await look(owner)
    expect(queue.depth).toEqual({ high: 1, normal: 0, low: 0, delayed: 0 })
    expect(queue.oldestPendingSeconds).toBeGreaterThanOrEqual(90)
    expect(queue.oldestPendingSeconds).toBeLessThan(120)
  })

  test('is the tenant’s own, and everybody’s for staff', async () => {
    await enqueue(tier.sql, waiting(1), waiting(1, { tenantId: rival }), waiting(200, { tenantId: rival }))
    await ended({ completed: 4, failed: 1 })
    await ended({ completed: 5, tenantId: rival })
    expect(await look(owner)).toMatchObject({ depth: { high: 1, low: 0 }, throughputPerMinute: 0.8, errorRate: 0.2 })
    expect(await look(stranger)).toMatchObject({ depth: { high: 1, low: 1 }, throughputPerMinute: 1, errorRate: 0 })
    expect(await look(SUPPORT)).toMatchObject({ depth: { high: 2, low: 1 }, throughputPerMinute: 1.8, errorRate: 0.1 })
    const other = userOf(randomUUID(), 'owner')
    expect(await look(other)).toMatchObject({ pending: 0, throughputPerMinute: 0, errorRate: null, health: 'OK' })
  })
})

describe('what got done lately', () => {
  test('is what ended in the last five full minutes', async () => {
    await ended({ completed: 10, failed: 10, secondsAgo: 130 })
    await ended({ completed: 90, secondsAgo: 400 })
    for (const caller of [owner, SUPPORT]) {
      expect(await look(caller)).toMatchObject({ throughputPerMinute: 2, errorRate: 0.5 })
    }
  })
})

describe('a queue’s health', () => {
  const healthOf = async (caller: Caller) => (await look(caller)).health

  test.each([
    ['the tenant', owner],
    ['staff', OPERATOR],
  ])('is OK, SLOW, STALLED or PAUSED for %s', async (_who, caller) => {
    expect(await healthOf(caller)).toBe('OK')
    await enqueue(tier.sql, waiting(1), waiting(2))
    await hold(40)
    expect(await healthOf(caller)).toBe('OK')
    await hold(70)
    expect(await healthOf(caller)).toBe('STALLED')
    // Something is in work: it is only late.
    await claim(1)
    expect(await healthOf(caller)).toBe('SLOW')
    await tier.sql.query('DELETE FROM worker_leases')
    expect(await healthOf(caller)).toBe('STALLED')
    await ended({ completed: 1 })
    expect(await healthOf(caller)).toBe('SLOW')
    await tier.sql.query(`UPDATE job_queues SET is_active = false WHERE name = $1`, [NAME])
    expect(await healthOf(caller)).toBe('PAUSED')
  })

  test('is SLOW when more than half of what is tried fails', async () => {
    await ended({ completed: 5, failed: 5 })
    expect(await healthOf(owner)).toBe('OK')
    await ended({ failed: 1 })
    expect([await healthOf(owner), await healthOf(SUPPORT)]).toEqual(['SLOW', 'SLOW'])
  })
})

test('a queue tells its limits', async () => {
  const LIMITS = `{ queues { name maxConcurrentPerTenant maxConcurrentPerKey rateLimitPerMinute rateLimitPerTenant
    rateLimitPerKey keepCompletedHours } }`
  await tier.sql.query(
    `UPDATE job_queues SET max_concurrent_per_tenant = 1, max_concurrent_per_key = 2, rate_limit_per_minute = 3,
       rate_limit_per_tenant = 4, rate_limit_per_key = 5, keep_completed_hours = 6 WHERE name = $1`,
    [NAME],
  )
  const limits = {
    ...{ name: NAME, maxConcurrentPerTenant: 1, maxConcurrentPerKey: 2 },
    ...{ rateLimitPerMinute: 3, rateLimitPerTenant: 4, rateLimitPerKey: 5, keepCompletedHours: 6 },
  }
  for (const caller of [owner, SUPPORT]) expect(ofQueue(await tier.ask(LIMITS, {}, caller))).toEqual(limits)
  const nothing = { maxConcurrentPerTenant: null, rateLimitPerKey: null, keepCompletedHours: 168 }
  expect(ofQueue(await tier.ask(LIMITS, {}, owner), 'email-sending')).toMatchObject(nothing)
})

test('all queues are told in three statements, however many there are', async () => {
  const count = async () => {
    const { statements, result } = await tier.db.statements.during(() => tier.ask(HOW, {}, owner))
    expect(result.errors).toBeUndefined()
    return {
      queues: result.data.queues.length,
      statements: statements.filter((text) => /job_queues|job_logs/.test(text)).length,
    }
  }
  const { queues } = await count()
  await tier.sql.query(`INSERT INTO job_queues (name) SELECT 'more-' || n FROM generate_series(1, 20) n`)
  // Their rows, what waits in them, what got done.
  expect(await count()).toEqual({ queues: queues + 20, statements: 3 })
  await tier.sql.query(`DELETE FROM job_queues WHERE name LIKE 'more-%'`)
})

describe('the page of numbers', () => {
  const scrape = async (registry: Registry) =>
    Object.fromEntries(
      (await registry.metrics())
        .split('\n')
        .filter((line) => line.startsWith('queue_'))
        .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
    )
  const open = () => {
    const registry = new Registry()
    addQueueMetrics(registry, tier.sql)
    return registry
  }

  test('tells how the queues of all tenants stand, in one statement however often it is asked', async () => {
    await enqueue(tier.sql, waiting(1))
    await claim(1)
    await enqueue(tier.sql, waiting(2), waiting(60, { tenantId: rival }), waiting(200))
    await enqueue(tier.sql, waiting(1, { runAt: new Date(Date.now() + 3_600_000).toISOString() }))
    await hold(100)
    const registry = open()
    const { result, statements } = await tier.db.statements.during(async () => {
      const pages = await Promise.all([scrape(registry), scrape(registry)])
      return [...pages, await scrape(registry)]
    })
    // The tier's own relay and its alerts are at work besides.
    const looks = /FROM (jobs|worker_leases|dead_letter_jobs|queue_alert_history|job_metrics)\b/
    expect(statements.filter((text) => looks.test(text))).toHaveLength(1)
    for (const page of result) {
      expect(page).toMatchObject({
        [`queue_jobs_waiting{queue="${NAME}",band="high"}`]: 1,
        [`queue_jobs_waiting{queue="${NAME}",band="normal"}`]: 1,
        [`queue_jobs_waiting{queue="${NAME}",band="low"}`]: 1,
        'queue_jobs_waiting{queue="email-sending",band="high"}': 0,
        [`queue_jobs_delayed{queue="${NAME}"}`]: 1,
        [`queue_jobs_in_work{queue="${NAME}"}`]: 1,
        [`queue_dead_letters_open{queue="${NAME}"}`]: 0,
        'queue_alerts_burning{severity="critical"}': 0,
        queue_leases: 1,
      })
      expect(Math.floor((page[`queue_oldest_waiting_seconds{queue="${NAME}"}`] ?? 0) / 100)).toBe(1)
    }
  })

  test('counts what was enqueued, completed and given up in each minute once', async () => {
    const mark = (minutes: number) =>
      tier.sql.query(
        `UPDATE chore_marks SET reached_at = timestamptz '2026-03-02T10:00:00Z' + $1 * interval '1 minute' WHERE name = 'minute_metrics'`,
        [minutes],
      )
    const minute = (at: number, enqueued: number) =>
      tier.sql.query(
        `INSERT INTO job_metrics (granularity, bucket_at, queue_name, job_type, enqueued, completed, failed)
         VALUES ('minute', timestamptz '2026-03-02T10:00:00Z' + $1 * interval '1 minute', $2, 'echo', $3, 2, 1)`,
        [at, NAME, enqueued],
      )
    await minute(0, 1_000)
    await mark(3)
    const registry = open()
    const totals = async () => {
      const page = await scrape(registry)
      return ['enqueued', 'completed', 'failed'].map(
        (what) => page[`queue_jobs_${what}_total{queue="${NAME}",type="echo"}`],
      )
    }
    const none = [undefined, undefined, undefined]
    /** What they change to with the next look: how soon that is depends on how long the last one took. */
    const totalsAfter = (before: (number | undefined)[]) =>
      until(async () => {
        const now = await totals()
        return now[0] !== before[0] && now
      }, 60_000)
    // Counting begins now; minutes before are not in it, nor any that the next computation may still add to.
    expect(await totals()).toEqual(none)
    await minute(1, 10)
    await minute(2, 20)
    await minute(3, 40)
    await mark(5)
    const first = await totalsAfter(none)
    expect(first).toEqual([30, 4, 2])
    await mark(6)
    expect(await totalsAfter(first)).toEqual([70, 6, 3])
  }, 150_000)
})
