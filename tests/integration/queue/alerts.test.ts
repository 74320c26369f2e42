import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { STAFF_INBOX } from '#platform/contracts/notification.ts'
import { evaluateAlerts } from '../../../subgraphs/queue/engine/alerts.ts'
import { claimJobs } from '../../../subgraphs/queue/engine/claim.ts'
import { DEFAULT_ALERTS, ensureDefaultAlerts } from '../../../subgraphs/queue/engine/defaultAlerts.ts'
import { DEMO, START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../../support/graph.ts'
import {
  demo,
  enqueue,
  makeWorker,
  openQueueDatabase,
  type QueueDatabase,
  request,
  rival,
  silent,
  until,
} from './queueDatabase.ts'

let queue: QueueDatabase
beforeAll(async () => {
  queue = await openQueueDatabase()
})
afterAll(() => queue?.close())

/** The clock that the evaluator goes by. */
const START = Date.parse('2027-03-02T10:00:00Z')
const at = (seconds: number) => new Date(START + seconds * 1_000)

beforeEach(async () => {
  const tables = [
    'queue_alert_history',
    'queue_alerts',
    'jobs',
    'job_logs',
    'dead_letter_jobs',
    'worker_leases',
    'workers',
  ]
  for (const table of [...tables, 'outbox_events']) await queue.sql.query(`DELETE FROM ${table}`)
  await queue.sql.query('UPDATE job_queues SET is_active = true')
  await queue.sql.query(`UPDATE chore_marks SET reached_at = $1 WHERE name = 'alerts'`, [at(-10)])
})

async function watch(alertType: string, changes: Record<string, unknown> = {}): Promise<string> {
  const row = {
    id: randomUUID(),
    name: `test ${alertType}`,
    alert_type: alertType,
    threshold: 1,
    hold_seconds: 0,
    ...changes,
  }
  const names = Object.keys(row)
  await queue.sql.query(
    `INSERT INTO queue_alerts (${names.join(', ')}) VALUES (${names.map((_, index) => `$${index + 1}`).join(', ')})`,
    Object.values(row),
  )
  return row.id
}

const evaluate = (seconds: number) => evaluateAlerts(queue.sql, { log: silent, now: at(seconds) })
/** What the alerts' values are, by way of a threshold that each of them is above. */
async function measure(alertType: string, changes: Record<string, unknown> = {}) {
  await queue.sql.query('DELETE FROM queue_alert_history')
  await queue.sql.query('DELETE FROM queue_alerts')
  await queue.sql.query(`UPDATE chore_marks SET reached_at = $1 WHERE name = 'alerts'`, [at(-10)])
  await watch(alertType, { threshold: -1, ...changes })
  const { fired } = await evaluate(0)
  return { value: fired[0]?.value, message: fired[0]?.message }
}

async function setWaiting(count: number, changes: Record<string, unknown> = {}) {
  await queue.sql.query('DELETE FROM jobs')
  await enqueue(queue.sql, ...Array.from({ length: count }, () => request(changes)))
}

async function history() {
  const { rows } = await queue.sql.query(
    'SELECT value, message, fired_at, resolved_at FROM queue_alert_history ORDER BY fired_at',
  )
  return rows
}

async function told() {
  const { rows } = await queue.sql.query(
    `SELECT tenant_id, payload->>'userId' AS user, payload->>'type' AS type, payload->>'title' AS title,
       payload->>'channel' AS channel, payload->>'priority' AS priority, payload->'metadata' AS metadata
     FROM outbox_events WHERE event_type = 'notification.requested' ORDER BY id`,
  )
  return rows
}

describe('an alert', () => {
  test('fires when it has been above its threshold for its hold time, and ends when it has been down for as long', async () => {
    const alertId = await watch('high_pending', { threshold: 2, resolve_threshold: 1, hold_seconds: 20 })
    await setWaiting(2)
    expect(await evaluate(0)).toEqual({ fired: [], resolved: [] })
    await setWaiting(3)
    expect((await evaluate(10)).fired).toEqual([])
    expect((await evaluate(20)).fired).toEqual([])
    // Down once: the hold time begins anew.
    await setWaiting(2)
    expect((await evaluate(30)).fired).toEqual([])
    await setWaiting(3)
    expect((await evaluate(40)).fired).toEqual([])
    expect((await evaluate(50)).fired).toEqual([])
    expect((await evaluate(60)).fired).toMatchObject([{ alertId, value: 3 }])
    // It burns: that is said once.
    expect((await evaluate(70)).fired).toEqual([])
    // Below the threshold, but not down to where it ends.
    await setWaiting(2)
    expect((await evaluate(80)).resolved).toEqual([])
    expect((await evaluate(110)).resolved).toEqual([])
    await setWaiting(1)
    expect((await evaluate(120)).resolved).toEqual([])
    await setWaiting(2)
    expect((await evaluate(130)).resolved).toEqual([])
    await setWaiting(1)
    expect((await evaluate(140)).resolved).toEqual([])
    expect((await evaluate(160)).resolved).toMatchObject([{ alertId, value: 1 }])
    expect(await history()).toEqual([
      {
        value: 3,
        message: expect.stringContaining('3 jobs could run and wait'),
        fired_at: at(60),
        resolved_at: at(160),
      },
    ])
    // And once more.
    await setWaiting(5)
    await evaluate(170)
    expect((await evaluate(190)).fired).toMatchObject([{ value: 5 }])
    expect(await history()).toHaveLength(2)
  })

  test('tells the staff by every channel it names, when it fires and when it ends', async () => {
    await watch('high_pending', {
      name: 'too many',
      threshold: 0,
      severity: 'critical',
      channels: ['in_app', 'email', 'pigeon'],
    })
    await setWaiting(1, { queueName: 'billing-sync' })
    await evaluate(0)
    await setWaiting(0)
    await evaluate(10)
    const common = { tenant_id: STAFF_INBOX.tenantId, user: STAFF_INBOX.userId }
    const metadata = expect.objectContaining({ alertType: 'high_pending', queueName: null })
    const fired = { ...common, type: 'queue_alert_fired', title: 'too many', priority: 'urgent', metadata }
    const over = { ...common, type: 'queue_alert_resolved', title: 'Over: too many', priority: 'normal', metadata }
    expect(await told()).toEqual([
      { ...fired, channel: 'in_app' },
      { ...fired, channel: 'email' },
      { ...over, channel: 'in_app' },
      { ...over, channel: 'email' },
    ])
  })

  test('fires once, however many evaluate at the same time, and is not evaluated again at once', async () => {
    await watch('high_pending', { threshold: 0 })
    await setWaiting(1)
    const evaluations = await Promise.all([1, 2, 3, 4].map(() => evaluate(0)))
    expect(evaluations.flatMap(({ fired }) => fired)).toHaveLength(1)
    expect(await history()).toHaveLength(1)
    expect(await told()).toHaveLength(1)
    await setWaiting(0)
    expect((await evaluate(7)).resolved).toEqual([])
    expect((await evaluate(8)).resolved).toHaveLength(1)
  })

  test('does not take a time in which nobody looked for one in which it was above', async () => {
    await watch('high_pending', { threshold: 0, hold_seconds: 60 })
    await setWaiting(1)
    expect((await evaluate(0)).fired).toEqual([])
    expect((await evaluate(3_600)).fired).toEqual([])
    expect((await evaluate(3_640)).fired).toEqual([])
    expect((await evaluate(3_660)).fired).toHaveLength(1)
  })

  test('that is switched off never fires; one that burns then ends without a word', async () => {
    const id = await watch('high_pending', { threshold: 0 })
    await setWaiting(1)
    await evaluate(0)
    await queue.sql.query('UPDATE queue_alerts SET is_active = false WHERE id = $1', [id])
    expect(await evaluate(10)).toEqual({ fired: [], resolved: [] })
    expect(await history()).toMatchObject([{ resolved_at: at(10) }])
    expect((await evaluate(20)).fired).toEqual([])
    expect(await told()).toHaveLength(1)
  })

  test('whose value cannot be had changes nothing, and takes no other with it', async () => {
    await watch('high_pending', { threshold: 0 })
    await watch('dead_letters', { name: 'letters', threshold: -1 })
    await setWaiting(1)
    const owner = new pg.Client({ connectionString: queue.ownerUrl })
    await owner.connect()
    await owner.query('ALTER TABLE dead_letter_jobs RENAME TO mislaid')
    try {
      expect((await evaluate(0)).fired).toMatchObject([{ name: 'test high_pending' }])
    } finally {
      await owner.query('ALTER TABLE mislaid RENAME TO dead_letter_jobs')
      await owner.end()
    }
    expect((await evaluate(10)).fired).toMatchObject([{ name: 'letters' }])
  })
})

describe('values', () => {
  const ended = async (when: Date, attempt: { level?: string; run?: number; queueName?: string } = {}) => {
    const { level = 'info', run = 1, queueName = 'billing-sync' } = attempt
    const id = randomUUID()
    await queue.sql.query(
      `INSERT INTO jobs (tenant_id, id, queue_name, job_type, payload, status) VALUES ($1, $2, $3, 'echo', '{}', 'completed')`,
      [demo, id, queueName],
    )
    await queue.sql.query(
      `INSERT INTO job_logs (tenant_id, job_id, created_at, attempt_number, log_level, message, duration_ms, wait_ms)
       VALUES ($1, $2, $3, 1, $4, 'completed', $5, 1)`,
      [demo, id, when, level, run],
    )
  }

  test('HIGH_PENDING: jobs of all tenants that could run, not those in work, delayed, or in a paused queue', async () => {
    const workerId = await makeWorker(queue.sql)
    await enqueue(queue.sql, request(), request(), request({ tenantId: rival }))
    await claimJobs(queue.sql, { workerId, queueName: 'notification-delivery', limit: 1, leaseMs: 60_000 })
    await enqueue(queue.sql, request({ runAt: at(60).toISOString() }), request({ runAt: at(-60).toISOString() }))
    await enqueue(queue.sql, request({ queueName: 'billing-sync' }), request({ queueName: 'email-sending' }))
    await queue.sql.query(`UPDATE job_queues SET is_active = false WHERE name = 'email-sending'`)
    expect(await measure('high_pending')).toMatchObject({
      value: 4,
      message: expect.stringContaining('most of them in notification-delivery'),
    })
    expect(await measure('high_pending', { queue_name: 'billing-sync' })).toMatchObject({
      value: 1,
      message: expect.stringContaining('1 job of the queue billing-sync could run and waits, more than -1.'),
    })
    expect((await measure('high_pending', { queue_name: 'email-sending' })).value).toBe(0)
  })

  test('BACKLOG_AGE: how long the oldest of them has waited, in seconds', async () => {
    await enqueue(queue.sql, request({ runAt: at(-90).toISOString() }))
    const [id] = await enqueue(queue.sql, request({ queueName: 'billing-sync' }))
    await queue.sql.query('UPDATE jobs SET queued_at = $2, run_at = $2 WHERE id = $1', [id, at(-300)])
    await queue.sql.query(`UPDATE jobs SET queued_at = $2 WHERE id <> $1`, [id, at(-1_000)])
    expect(await measure('backlog_age')).toMatchObject({
      value: 300,
      message: expect.stringContaining('The oldest job in billing-sync that could run has waited 5 min'),
    })
    expect((await measure('backlog_age', { queue_name: 'notification-delivery' })).value).toBe(90)
    expect((await measure('backlog_age', { queue_name: 'email-sending' })).value).toBe(0)
  })

  test('SLOW_PROCESSING: what 95 of 100 attempts of the window took at most, in milliseconds', async () => {
    for (let n = 1; n <= 20; n++) await ended(at(-n), { run: n * 100 })
    await ended(at(-400), { run: 90_000 })
    await ended(at(-10), { run: 50, queueName: 'email-sending' })
    expect((await measure('slow_processing', { queue_name: 'billing-sync' })).value).toBe(1_900)
    expect((await measure('slow_processing', { window_seconds: 10, queue_name: 'billing-sync' })).value).toBe(1_000)
    expect((await measure('slow_processing', { window_seconds: 600 })).value).toBe(2_000)
    expect((await measure('slow_processing', { queue_name: 'content-archival' })).value).toBe(0)
  })

  test('HIGH_ERROR_RATE: the share of attempts of the window that failed', async () => {
    for (let n = 0; n < 6; n++) await ended(at(-n - 1))
    await ended(at(-1), { level: 'warning' })
    await ended(at(-1), { level: 'error' })
    await ended(at(-301), { level: 'error' })
    expect(await measure('high_error_rate')).toMatchObject({
      value: 0.25,
      message: expect.stringContaining('25 % of the attempts failed within 5 min'),
    })
    expect((await measure('high_error_rate', { window_seconds: 600 })).value).toBeCloseTo(3 / 9, 10)
    expect((await measure('high_error_rate', { queue_name: 'content-archival' })).value).toBe(0)
  })

  test('WORKER_OFFLINE: seconds since a worker that serves the queue was heard of, at most a week', async () => {
    expect((await measure('worker_offline')).value).toBe(604_800)
    const heard = async (when: Date) => {
      const id = await makeWorker(queue.sql)
      await queue.sql.query('UPDATE workers SET last_heartbeat_at = $2 WHERE id = $1', [id, when])
    }
    await heard(at(-500))
    await heard(at(-65))
    expect(await measure('worker_offline')).toMatchObject({
      value: 65,
      message: expect.stringMatching(/^No worker was heard of for 65 s/),
    })
    expect((await measure('worker_offline', { queue_name: 'notification-delivery' })).value).toBe(65)
    expect((await measure('worker_offline', { queue_name: 'email-sending' })).value).toBe(604_800)
  })

  test('DEAD_LETTERS: jobs given up within the window that nobody has decided on', async () => {
    const letter = (when: Date, changes: { queueName?: string; resolved?: boolean; tenantId?: string } = {}) =>
      queue.sql.query(
        `INSERT INTO dead_letter_jobs (tenant_id, id, job_id, queue_name, job_type, payload, final_attempt, failure_reason,
           error_fingerprint, accepted_at, created_at, is_resolved, resolved_at)
         VALUES ($1, gen_random_uuid(), gen_random_uuid(), $2, 'echo', '{}', 3, 'no', 'no', $3, $3, $4, $5)`,
        [
          changes.tenantId ?? demo,
          changes.queueName ?? 'billing-sync',
          when,
          !!changes.resolved,
          changes.resolved ? when : null,
        ],
      )
    await letter(at(-10))
    await letter(at(-299), { tenantId: rival })
    await letter(at(-300))
    await letter(at(-10), { resolved: true })
    await letter(at(-10), { queueName: 'email-sending' })
    expect(await measure('dead_letters')).toMatchObject({
      value: 3,
      message: expect.stringContaining('most of them of billing-sync'),
    })
    expect((await measure('dead_letters', { queue_name: 'billing-sync' })).value).toBe(2)
    expect((await measure('dead_letters', { window_seconds: 600 })).value).toBe(4)
  })

  test('are had with as many statements for many alerts as for few', async () => {
    const types = [
      'high_pending',
      'backlog_age',
      'slow_processing',
      'high_error_rate',
      'worker_offline',
      'dead_letters',
    ]
    const count = async (seconds: number) => {
      const { statements } = await queue.db.statements.during(() => evaluate(seconds))
      return statements.length
    }
    for (const type of types) await watch(type, { threshold: 1e9 })
    const few = await count(0)
    for (let n = 0; n < 5; n++) {
      for (const type of types) {
        await watch(type, {
          name: `${type} ${n}`,
          threshold: 1e9,
          queue_name: 'billing-sync',
          window_seconds: 60 * (n + 1),
        })
      }
    }
    expect(await count(10)).toBe(few)
  })
})

describe('the platform’s own alerts', () => {
  test('are there after any number of workers started, as the operators left them', async () => {
    await Promise.all([1, 2, 3].map(() => ensureDefaultAlerts(queue.sql)))
    const read = async () => (await queue.sql.query('SELECT * FROM queue_alerts ORDER BY name')).rows
    expect((await read()).map(({ name }) => name)).toEqual(DEFAULT_ALERTS.map(({ name }) => name).sort())
    await queue.sql.query(`UPDATE queue_alerts SET threshold = 7, is_active = false WHERE name = 'Jobs pile up'`)
    const changed = await read()
    await ensureDefaultAlerts(queue.sql)
    expect(await read()).toEqual(changed)
  })
})

describe('with the whole platform', () => {
  let platform: TestPlatform
  beforeAll(async () => {
    platform = await startPlatform({ worker: true })
  }, START_TIMEOUT_MS)
  afterAll(() => platform?.stop())

  test('what fires arrives in the staff’s inbox by way of a job, and in no tenant’s', async () => {
    const staff = { kind: 'staff' as const, tenantId: null, userId: randomUUID(), roles: ['operator'] }
    const INBOX = '{ notifications { totalCount nodes { title message priority type metadata } } }'
    const CREATE = `mutation { createQueueAlert(input: { name: "always", alertType: WORKER_OFFLINE, threshold: 0,
      holdSeconds: 0, severity: CRITICAL }) { alert { id name isBurning } } }`
    const created = await platform.ask(CREATE, {}, staff)
    expect(created.data?.createQueueAlert.alert).toMatchObject({ name: 'always', isBurning: false })
    const nodes = await until(async () => {
      const { data } = await platform.ask(INBOX, {}, staff)
      const mine = (data?.notifications.nodes ?? []).filter(({ title }: { title: string }) => title === 'always')
      return mine.length > 0 && mine
    }, 30_000)
    expect(nodes).toEqual([
      {
        title: 'always',
        type: 'queue_alert_fired',
        priority: 'URGENT',
        message: expect.stringContaining('No worker was heard of for'),
        metadata: expect.objectContaining({ alertId: created.data.createQueueAlert.alert.id }),
      },
    ])
    expect((await platform.ask(INBOX, {}, DEMO)).data.notifications.nodes).toEqual([])
  }, 60_000)
})
