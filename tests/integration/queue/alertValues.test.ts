import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { claimJobs } from '../../../subgraphs/queue/engine/claim.ts'
import { type AlertDesk, at, openAlertDesk } from './alertDesk.ts'
import { demo, enqueue, makeWorker, request, rival } from './queueDatabase.ts'

let desk: AlertDesk
beforeAll(async () => {
  desk = await openAlertDesk()
})
beforeEach(() => desk.clear())
afterAll(() => desk?.close())

describe('values', () => {
  const ended = async (when: Date, attempt: { level?: string; run?: number; queueName?: string } = {}) => {
    const { level = 'info', run = 1, queueName = 'billing-sync' } = attempt
    const id = randomUUID()
    await desk.sql.query(
      `INSERT INTO jobs (tenant_id, id, queue_name, job_type, payload, status) VALUES ($1, $2, $3, 'echo', '{}', 'completed')`,
      [demo, id, queueName],
    )
    await desk.sql.query(
      `INSERT INTO job_logs (tenant_id, job_id, created_at, attempt_number, log_level, message, duration_ms, wait_ms)
       VALUES ($1, $2, $3, 1, $4, 'completed', $5, 1)`,
      [demo, id, when, level, run],
    )
  }

  test('HIGH_PENDING: jobs of all tenants that could run, not those in work, delayed, or in a paused queue', async () => {
    const workerId = await makeWorker(desk.sql)
    await enqueue(desk.sql, request(), request(), request({ tenantId: rival }))
    await claimJobs(desk.sql, { workerId, queueName: 'notification-delivery', limit: 1, leaseMs: 60_000 })
    await enqueue(desk.sql, request({ runAt: at(60).toISOString() }), request({ runAt: at(-60).toISOString() }))
    await enqueue(desk.sql, request({ queueName: 'billing-sync' }), request({ queueName: 'email-sending' }))
    await desk.sql.query(`UPDATE job_queues SET is_active = false WHERE name = 'email-sending'`)
    expect(await desk.measure('high_pending')).toMatchObject({
      value: 4,
      message: expect.stringContaining('most of them in notification-delivery'),
    })
    expect(await desk.measure('high_pending', { queue_name: 'billing-sync' })).toMatchObject({
      value: 1,
      message: expect.stringContaining('1 job of the queue billing-sync could run and waits, more than -1.'),
    })
    expect((await desk.measure('high_pending', { queue_name: 'email-sending' })).value).toBe(0)
  })

  test('BACKLOG_AGE: how long the oldest of them has waited, in seconds', async () => {
    await enqueue(desk.sql, request({ runAt: at(-90).toISOString() }))
    const [id] = await enqueue(desk.sql, request({ queueName: 'billing-sync' }))
    await desk.sql.query('UPDATE jobs SET queued_at = $2, run_at = $2 WHERE id = $1', [id, at(-300)])
    await desk.sql.query(`UPDATE jobs SET queued_at = $2 WHERE id <> $1`, [id, at(-1_000)])
    expect(await desk.measure('backlog_age')).toMatchObject({
      value: 300,
      message: expect.stringContaining('The oldest job in billing-sync that could run has waited 5 min'),
    })
    expect((await desk.measure('backlog_age', { queue_name: 'notification-delivery' })).value).toBe(90)
    expect((await desk.measure('backlog_age', { queue_name: 'email-sending' })).value).toBe(0)
  })

  test('SLOW_PROCESSING: what 95 of 100 attempts of the window took at most, in milliseconds', async () => {
    for (let n = 1; n <= 20; n++) await ended(at(-n), { run: n * 100 })
    await ended(at(-400), { run: 90_000 })
    await ended(at(-10), { run: 50, queueName: 'email-sending' })
    expect((await desk.measure('slow_processing', { queue_name: 'billing-sync' })).value).toBe(1_900)
    expect((await desk.measure('slow_processing', { window_seconds: 10, queue_name: 'billing-sync' })).value).toBe(
      1_000,
    )
    expect((await desk.measure('slow_processing', { window_seconds: 600 })).value).toBe(2_000)
    expect((await desk.measure('slow_processing', { queue_name: 'content-archival' })).value).toBe(0)
  })

  test('HIGH_ERROR_RATE: the share of attempts of the window that failed', async () => {
    for (let n = 0; n < 6; n++) await ended(at(-n - 1))
    await ended(at(-1), { level: 'warning' })
    await ended(at(-1), { level: 'error' })
    await ended(at(-301), { level: 'error' })
    expect(await desk.measure('high_error_rate')).toMatchObject({
      value: 0.25,
      message: expect.stringContaining('25 % of the attempts failed within 5 min'),
    })
    expect((await desk.measure('high_error_rate', { window_seconds: 600 })).value).toBeCloseTo(3 / 9, 10)
    expect((await desk.measure('high_error_rate', { queue_name: 'content-archival' })).value).toBe(0)
  })

  test('WORKER_OFFLINE: seconds since a worker that serves the queue was heard of, at most a week', async () => {
    expect((await desk.measure('worker_offline')).value).toBe(604_800)
    const heard = async (when: Date) => {
      const id = await makeWorker(desk.sql)
      await desk.sql.query('UPDATE workers SET last_heartbeat_at = $2 WHERE id = $1', [id, when])
    }
    await heard(at(-500))
    await heard(at(-65))
    expect(await desk.measure('worker_offline')).toMatchObject({
      value: 65,
      message: expect.stringMatching(/^No worker was heard of for 65 s/),
    })
    expect((await desk.measure('worker_offline', { queue_name: 'notification-delivery' })).value).toBe(65)
    expect((await desk.measure('worker_offline', { queue_name: 'email-sending' })).value).toBe(604_800)
  })

  test('DEAD_LETTERS: jobs given up within the window that nobody has decided on', async () => {
    const letter = (when: Date, changes: { queueName?: string; resolved?: boolean; tenantId?: string } = {}) =>
      desk.sql.query(
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
    expect(await desk.measure('dead_letters')).toMatchObject({
      value: 3,
      message: expect.stringContaining('most of them of billing-sync'),
    })
    expect((await desk.measure('dead_letters', { queue_name: 'billing-sync' })).value).toBe(2)
    expect((await desk.measure('dead_letters', { window_seconds: 600 })).value).toBe(4)
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
      const { statements } = await desk.queue.db.statements.during(() => desk.evaluate(seconds))
      return statements.length
    }
    for (const type of types) await desk.watch(type, { threshold: 1e9 })
    const few = await count(0)
    for (let n = 0; n < 5; n++) {
      for (const type of types) {
        await desk.watch(type, {
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
