import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { completeJobs, failJobs } from '../../../subgraphs/queue/engine/acknowledge.ts'
import { claimJobs } from '../../../subgraphs/queue/engine/claim.ts'
import { computeMetrics } from '../../../subgraphs/queue/engine/jobMetrics.ts'
import { MINUTES_OF } from '../../../subgraphs/queue/engine/jobMetricsSql.ts'
import { demo, enqueue, makeWorker, openQueueDatabase, type QueueDatabase, request, rival } from './queueDatabase.ts'

let queue: QueueDatabase
beforeAll(async () => {
  queue = await openQueueDatabase()
})
afterAll(() => queue.close())

/** A quiet hour of a day long ago, so that nothing else is in it; the marks are set to it. */
const HOUR = Date.parse('2026-03-02T10:00:00Z')
const at = (minute: number, second = 0) => new Date(HOUR + (minute * 60 + second) * 1_000)
const minutes = (from: number) => markAt('minute_metrics', at(from))
const markAt = (name: string, time: Date) =>
  queue.sql.query('UPDATE chore_marks SET reached_at = $2 WHERE name = $1', [name, time])

beforeEach(async () => {
  await queue.sql.query('DELETE FROM job_metrics')
  await queue.sql.query('DELETE FROM job_logs')
  await queue.sql.query('DELETE FROM jobs')
  await minutes(0)
  await markAt('hour_metrics', at(0))
})

type Attempt = { level?: string; message?: string; run?: number | null; wait?: number | null; tenantId?: string }

/** A job that arrived then, in the database as the engine leaves it. */
async function arrive(when: Date, changes: { queue?: string; type?: string; tenantId?: string } = {}) {
  const id = randomUUID()
  const { queue: queueName = 'billing-sync', type = 'echo', tenantId = demo } = changes
  await queue.sql.query(
    `INSERT INTO jobs (tenant_id, id, queue_name, job_type, payload, created_at, queued_at, run_at, status, completed_at)
     VALUES ($1, $2, $3, $4, '{}', $5, $5, $5, 'completed', $5)`,
    [tenantId, id, queueName, type, when],
  )
  return { id, tenantId }
}

async function end(job: { id: string; tenantId: string }, when: Date, attempt: Attempt = {}) {
  const { level = 'info', message = 'completed', run = 1, wait = 1 } = attempt
  await queue.sql.query(
    `INSERT INTO job_logs (tenant_id, job_id, created_at, attempt_number, log_level, message, duration_ms, wait_ms)
     VALUES ($1, $2, $3, 1, $4, $5, $6, $7)`,
    [job.tenantId, job.id, when, level, message, run, wait],
  )
}

async function readMetrics(granularity = 'minute') {
  const { rows } = await queue.sql.query(
    `SELECT to_char(bucket_at AT TIME ZONE 'UTC', 'HH24:MI') AS at, queue_name AS queue, job_type AS type, enqueued, completed,
       failed, retried, ARRAY[wait_p50_ms, wait_p95_ms, wait_p99_ms] AS waits, ARRAY[run_p50_ms, run_p95_ms, run_p99_ms] AS runs
     FROM job_metrics WHERE granularity = $1 ORDER BY bucket_at, queue_name, job_type`,
    [granularity],
  )
  return rows
}

const NONE = [null, null, null]

describe('the metrics of a minute', () => {
  test('count what arrived and what ended in it, by queue and job type, and say how long 50, 95 and 99 of 100 took', async () => {
    const job = await arrive(at(1, 59), { type: 'slow' })
    for (let n = 1; n <= 200; n++) await end(job, at(2, n % 60), { wait: n, run: n * 10 })
    await arrive(at(2), { type: 'slow', tenantId: rival })
    await arrive(at(2, 59.999))
    await arrive(at(3), { queue: 'email-sending' })
    await computeMetrics(queue.sql, at(4, 10))
    expect(await readMetrics()).toEqual([
      row('10:01', { type: 'slow', enqueued: 1 }),
      row('10:02', { enqueued: 1 }),
      row('10:02', { type: 'slow', enqueued: 1, completed: 200, waits: [100, 190, 198], runs: [1_000, 1_900, 1_980] }),
      row('10:03', { queue: 'email-sending', enqueued: 1 }),
    ])
  })

  test('tell attempts that will be repeated from those that gave up; a person’s doings are neither', async () => {
    const job = await arrive(at(0))
    await end(job, at(1), { level: 'warning', message: 'disk full', run: 30, wait: 3 })
    await end(job, at(1), { level: 'error', message: 'disk full', run: 50, wait: 5 })
    // A worker that died says how long it had the job, not how long that had waited.
    await end(job, at(1), { level: 'warning', message: 'the worker was not heard of again', run: 40, wait: null })
    await end(job, at(1), { level: 'warning', message: 'stopped by a person', run: 7_000 })
    await end(job, at(1), { message: 'retried by a person', run: null, wait: null })
    await computeMetrics(queue.sql, at(2))
    expect((await readMetrics()).at(-1)).toEqual(
      row('10:01', { failed: 1, retried: 2, waits: [3, 5, 5], runs: [40, 50, 50] }),
    )
  })

  test('are those of jobs that the engine ran', async () => {
    await markAt('minute_metrics', new Date(Date.now() - 120_000))
    await enqueue(queue.sql, ...Array.from({ length: 5 }, () => request({ maxAttempts: 2 })))
    const workerId = await makeWorker(queue.sql)
    const claim = await claimJobs(queue.sql, {
      workerId,
      queueName: 'notification-delivery',
      limit: 5,
      leaseMs: 60_000,
    })
    const [a, b, c, d, e] = claim?.jobs ?? []
    const outcome = { durationMs: 20, waitMs: 10 }
    if (!a || !b || !c || !d || !e) throw new Error('five jobs were to be claimed')
    await completeJobs(
      queue.sql,
      [a, b, c].map((job) => ({ ...job, ...outcome })),
    )
    const failure = { ...outcome, message: 'no', details: {}, fingerprint: 'no' }
    await failJobs(queue.sql, [
      { ...d, ...failure, permanent: true },
      { ...e, ...failure, permanent: false },
    ])
    await computeMetrics(queue.sql, new Date(Date.now() + 60_000))
    const rows = await readMetrics()
    const sum = (name: string) => rows.reduce((total, one) => total + one[name], 0)
    expect(['enqueued', 'completed', 'failed', 'retried'].map(sum)).toEqual([5, 3, 1, 1])
    expect(rows.at(-1)).toMatchObject({ type: 'echo', waits: [10, 10, 10], runs: [20, 20, 20] })
  })

  test('come when it is over, and take in what was written late', async () => {
    const job = await arrive(at(5))
    await end(job, at(5, 30), { run: 10 })
    await computeMetrics(queue.sql, at(5, 59))
    expect(await readMetrics()).toEqual([])
    await computeMetrics(queue.sql, at(6))
    expect(await readMetrics()).toMatchObject([{ at: '10:05', completed: 1, runs: [10, 10, 10] }])
    await end(job, at(5, 59), { run: 30 })
    await computeMetrics(queue.sql, at(6, 59))
    expect(await readMetrics()).toMatchObject([{ completed: 1 }])
    await computeMetrics(queue.sql, at(7))
    expect(await readMetrics()).toMatchObject([{ completed: 2, enqueued: 1, runs: [10, 30, 30] }])
  })

  test('stay when the jobs that they count are removed, and are the same computed again', async () => {
    await end(await arrive(at(5)), at(5, 30), { run: 10 })
    await computeMetrics(queue.sql, at(6))
    const first = await readMetrics()
    await minutes(0)
    await computeMetrics(queue.sql, at(6))
    expect(await readMetrics()).toEqual(first)
    await queue.sql.query('DELETE FROM jobs')
    await minutes(0)
    await computeMetrics(queue.sql, at(6))
    expect(await readMetrics()).toEqual(first)
  })
})

describe('the metrics of an hour', () => {
  test('sum up its minutes, and take its times from all of its attempts', async () => {
    const job = await arrive(at(0))
    for (let n = 1; n <= 100; n++) await end(job, at(n % 60), { wait: n, run: 1_000 - n })
    await computeMetrics(queue.sql, at(61, 59))
    expect(await readMetrics('hour')).toEqual([])
    await computeMetrics(queue.sql, at(62))
    expect(await readMetrics('hour')).toEqual([
      row('10:00', { enqueued: 1, completed: 100, waits: [50, 95, 99], runs: [949, 994, 998] }),
    ])
  })
})

describe('any number of workers', () => {
  test('compute each bucket once, however many ask at the same time', async () => {
    await end(await arrive(at(0)), at(0, 30))
    const { statements } = await queue.db.statements.during(() =>
      Promise.all([1, 2, 3, 4].map(() => computeMetrics(queue.sql, at(1)))),
    )
    expect(statements.filter((text) => text === MINUTES_OF)).toHaveLength(1)
    expect(await readMetrics()).toMatchObject([{ enqueued: 1, completed: 1 }])
  })

  test('catch up after an outage, at most the last seven days', async () => {
    const now = at(0)
    const ago = (days: number) => new Date(now.getTime() - days * 86_400_000)
    await markAt('minute_metrics', ago(30))
    await markAt('hour_metrics', ago(30))
    await end(await arrive(ago(7.5)), ago(7.5))
    await end(await arrive(ago(6.5)), ago(6.5))
    // A call does 25 hours of minutes; the next ones go on.
    for (let call = 0; call < 7; call++) await computeMetrics(queue.sql, now)
    expect(await readMetrics('minute')).toMatchObject([{ at: '22:00', enqueued: 1, completed: 1 }])
    expect(await readMetrics('hour')).toMatchObject([{ at: '22:00', enqueued: 1, completed: 1 }])
    const { rows } = await queue.sql.query(`SELECT reached_at FROM chore_marks WHERE name = 'minute_metrics'`)
    expect(rows[0]?.reached_at).toEqual(now)
  })

  test('remove minutes after seven days and hours after 400', async () => {
    const days = [6, 8, 399, 401].map((age) => new Date(at(62).getTime() - age * 86_400_000))
    await queue.sql.query(
      `INSERT INTO job_metrics (granularity, bucket_at, queue_name, job_type)
       SELECT g, b, 'billing-sync', 'echo' FROM unnest(ARRAY['minute', 'hour']) g, unnest($1::timestamptz[]) b`,
      [days],
    )
    await computeMetrics(queue.sql, at(62))
    expect(await readMetrics('minute')).toHaveLength(1)
    expect(await readMetrics('hour')).toHaveLength(3)
  })
})

describe('over big tables', () => {
  test('a minute reads the pages of that minute, not the tables', async () => {
    await queue.sql.query(
      `INSERT INTO jobs (tenant_id, id, queue_name, job_type, payload, created_at, status)
       SELECT $1, gen_random_uuid(), 'billing-sync', 'echo', '{}', $2::timestamptz + n * interval '20 milliseconds', 'completed'
       FROM generate_series(1, 60000) n`,
      [demo, at(0)],
    )
    await queue.sql.query(
      `INSERT INTO job_logs (tenant_id, job_id, created_at, attempt_number, log_level, message, duration_ms, wait_ms)
       SELECT tenant_id, id, created_at, 1, 'info', 'completed', 1, 1 FROM jobs ORDER BY created_at`,
    )
    const owner = new pg.Client({ connectionString: queue.ownerUrl })
    await owner.connect()
    for (const table of ['jobs', 'job_logs']) await owner.query(`VACUUM ANALYZE ${table}`)
    await owner.end()
    const { rows } = await queue.sql.query(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${MINUTES_OF}`, [at(10), at(11)])
    const scans = scansOf(rows[0]['QUERY PLAN'][0].Plan)
    expect(scans.filter(({ type, relation }) => type === 'Seq Scan' && relation)).toEqual([])
    const logs = scans.filter(({ index }) => index?.startsWith('job_logs'))
    expect(logs.map(({ index }) => index)).toEqual([expect.stringMatching(/^job_logs_.*_created_at_idx$/)])
    const arrivals = scans.find(({ relation, type }) => relation === 'jobs' && type === 'Bitmap Heap Scan')
    const sizes = await queue.sql.query(`SELECT relpages FROM pg_class WHERE relname = 'jobs'`)
    expect(arrivals?.pages).toBeLessThan(sizes.rows[0].relpages / 4)
    expect(await readMetrics()).toMatchObject([{ at: '10:10', enqueued: 3_000, completed: 3_000 }])
  }, 60_000)
})

type Scan = { type: string; index: string | undefined; relation: string | undefined; pages: number }

// biome-ignore lint/suspicious/noExplicitAny: a plan is as Postgres writes it
function scansOf(plan: any): Scan[] {
  const own = {
    type: plan['Node Type'],
    index: plan['Index Name'],
    relation: plan['Relation Name'],
    pages: plan['Shared Hit Blocks'] + plan['Shared Read Blocks'],
  }
  return [own, ...(plan.Plans ?? []).flatMap(scansOf)]
}

function row(time: string, changes: Record<string, unknown> = {}) {
  const counts = { enqueued: 0, completed: 0, failed: 0, retried: 0 }
  return { at: time, queue: 'billing-sync', type: 'echo', ...counts, waits: NONE, runs: NONE, ...changes }
}
