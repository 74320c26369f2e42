import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { Registry } from 'prom-client'
import { parseConfig } from '#platform/config.ts'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import type { DeliverJobs } from '#platform/jobs/delivery.ts'
import { audit, notify } from '#platform/outbox/announce.ts'
import { appendOutbox } from '#platform/outbox/append.ts'
import { startRelay } from '#platform/outbox/relay.ts'
import { queueConfig } from '../../../subgraphs/queue/config.ts'
import { enqueueJobs } from '../../../subgraphs/queue/engine/enqueue.ts'
import { demo, openQueueDatabase, type QueueDatabase, rival, silent, until } from './queueDatabase.ts'

const routes = { 'thing.happened': { queueName: 'billing-sync', jobType: 'noteThing', priority: 42 } }

let queue: QueueDatabase
const relays: { stop: () => Promise<void> }[] = []
beforeAll(async () => {
  queue = await openQueueDatabase()
})
afterEach(async () => {
  await Promise.all(relays.splice(0).map((relay) => relay.stop()))
  await queue.sql.query('DELETE FROM outbox_events; DELETE FROM jobs; DELETE FROM enqueue_receipts')
})
afterAll(() => queue.close())

const reallyEnqueue: DeliverJobs = async (jobs) => (await enqueueJobs(queue.sql, jobs)).results
const start = (deliver: DeliverJobs = reallyEnqueue, registry?: Registry) => {
  const relay = startRelay({ tier: 'oltp', systemSql: queue.sql, deliver, routes, log: silent, registry })
  relays.push(relay)
  return relay
}
const event = (changes: object = {}) => ({
  tenantId: demo,
  aggregateType: 'Campaign',
  aggregateId: randomUUID(),
  eventType: 'thing.happened',
  payload: { text: 'something' },
  ...changes,
})
const outbox = async () => (await queue.sql.query('SELECT * FROM outbox_events ORDER BY id')).rows
const jobs = async () => (await queue.sql.query('SELECT * FROM jobs ORDER BY seq')).rows
const delivered = () => until(async () => (await outbox()).length === 0)

describe('the outbox', () => {
  test('is written in the caller’s transaction, through Prisma and through pg alike', async () => {
    const { tenant, tenantSql } = queue.db
    await runAsTenant(demo, async () => {
      await tenant.$transaction(async (tx) => void (await appendOutbox(tx, [event()])))
      await tenantSql.transaction(async (tx) => void (await appendOutbox(tx, [event(), event()])))
      await expect(
        tenant.$transaction(async (tx) => {
          await audit(tx, { tenantId: demo, action: 'a', resourceType: 'Job', resourceId: '1' })
          throw new Error('changed our mind')
        }),
      ).rejects.toThrow('changed our mind')
      await expect(appendOutbox(tenantSql, [event({ tenantId: rival })])).rejects.toThrow('row-level security')
    })
    expect((await outbox()).map(({ event_type }) => event_type)).toEqual(Array(3).fill('thing.happened'))
  })

  test('audit and notify announce what the contracts say', async () => {
    const userId = randomUUID()
    await audit(queue.sql, {
      tenantId: demo,
      correlationId: 'r1',
      action: 'job.retried',
      resourceType: 'Job',
      resourceId: '7',
    })
    await notify(queue.sql, { tenantId: demo, userId, type: 'test', title: 'Hi', message: 'there' })
    expect(await outbox()).toMatchObject([
      { event_type: 'audit.recorded', aggregate_type: 'Job', aggregate_id: '7', correlation_id: 'r1' },
      {
        event_type: 'notification.requested',
        aggregate_id: userId,
        payload: { channel: 'in_app', priority: 'normal' },
      },
    ])
    await expect(notify(queue.sql, { tenantId: demo, userId: 'x', type: '', title: '', message: '' })).rejects.toThrow()
  })
})

describe('the relay', () => {
  test('turns an event into a job that knows where it came from', async () => {
    const campaignId = randomUUID()
    const aggregateId = randomUUID()
    const [id] = await appendOutbox(queue.sql, [
      event({ aggregateId, payload: { campaignId, n: 1 }, correlationId: 'c1' }),
    ])
    start()
    await delivered()
    const [job] = await jobs()
    expect(job).toMatchObject({
      tenant_id: demo,
      queue_name: 'billing-sync',
      job_type: 'noteThing',
      priority: 42,
      correlation_id: 'c1',
      subject_typename: 'Campaign',
      subject_id: aggregateId,
      campaign_id: campaignId,
      payload: { n: 1, campaignId, eventId: id, tenantId: demo, acceptedAt: expect.any(String) },
    })
    expect(job.accepted_at.toISOString()).toBe(job.payload.acceptedAt)
    const { rows } = await queue.sql.query('SELECT source, key FROM enqueue_receipts')
    expect(rows).toEqual([{ source: 'oltp', key: id }])
  })

  test('a batch repeated after a crash between delivery and deletion makes no second job', async () => {
    await appendOutbox(queue.sql, [event(), event({ tenantId: rival })])
    let crashes = 1
    start(async (batch) => {
      const answers = await reallyEnqueue(batch)
      // The process dies here: what was enqueued stays, what the relay was to write does not.
      if (crashes-- > 0)
        await queue.sql.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE usename = current_user AND state = 'idle in transaction' AND datname = current_database()`)
      return answers
    })
    await delivered()
    expect(await jobs()).toHaveLength(2)
    expect(crashes).toBeLessThan(0)
  })

  test('replicas share the work and deliver nothing twice', async () => {
    await appendOutbox(
      queue.sql,
      Array.from({ length: 1_200 }, () => event()),
    )
    const keys: string[] = []
    const noting: DeliverJobs = async (batch) => {
      keys.push(...batch.map(({ key }) => key))
      return reallyEnqueue(batch)
    }
    start(noting)
    start(noting)
    start(noting)
    await delivered()
    expect(keys).toHaveLength(1_200)
    expect(new Set(keys).size).toBe(1_200)
  })

  test('a poison event is parked alone with its error; so is one without a route', async () => {
    const [, refused, lost] = await appendOutbox(queue.sql, [
      event(),
      event({ payload: { text: 'x'.repeat(2 ** 20) } }),
      event({ eventType: 'nobody.cares' }),
      event(),
    ])
    start()
    await until(async () => (await jobs()).length === 2)
    const left = await until(async () => {
      const rows = await outbox()
      return rows.length === 2 && rows
    })
    expect(left.find(({ id }) => id === refused)).toMatchObject({
      parked_at: expect.any(Date),
      last_error: expect.stringContaining('payload: is larger than'),
    })
    expect(left.find(({ id }) => id === lost)).toMatchObject({ last_error: 'no route for events of type nobody.cares' })
  })

  test('large events go in several calls, and one too large for any is parked', async () => {
    const sizes: number[] = []
    const big = () => event({ payload: { text: 'x'.repeat(900_000) } })
    const events = [...Array.from({ length: 6 }, big), event({ payload: { text: 'x'.repeat(5_000_000) } })]
    const ids = await appendOutbox(queue.sql, events)
    start(async (batch) => {
      sizes.push(batch.length)
      return reallyEnqueue(batch)
    })
    await until(async () => (await jobs()).length === 6)
    expect(await until(async () => (await outbox()).length === 1 && outbox())).toMatchObject([
      { id: ids.at(-1), parked_at: expect.any(Date), last_error: expect.stringContaining('larger than') },
    ])
    expect(sizes).toEqual([4, 2])
  })

  test('a call refused as a whole is halved until its poison stands alone', async () => {
    const events = Array.from({ length: 20 }, (_, n) => event({ payload: { n } }))
    const ids = await appendOutbox(queue.sql, events)
    start(async (batch) => {
      if (batch.some(({ payload }) => payload.n === 13)) throw new AppError('INVALID_INPUT', 'cannot read that')
      return reallyEnqueue(batch)
    })
    await until(async () => (await jobs()).length === 19)
    expect(await until(async () => (await outbox()).length === 1 && outbox())).toMatchObject([
      { id: ids[13], last_error: 'cannot read that', parked_at: expect.any(Date) },
    ])
  })

  test('a queue that is away is not asked for every event there is, however often the relay is woken', async () => {
    await appendOutbox(
      queue.sql,
      Array.from({ length: 5_000 }, () => event()),
    )
    let calls = 0
    let isAway = true
    const relay = start(async (batch) => {
      calls += 1
      if (isAway) throw new AppError('UNAVAILABLE', 'the queue tier does not answer')
      return reallyEnqueue(batch)
    })
    const waking = setInterval(relay.wake, 5)
    await sleep(1_500)
    clearInterval(waking)
    expect(calls).toBeLessThan(5)
    isAway = false
    await delivered()
  })

  test('a queue that is away is asked again, each time later, and gets everything in the end', async () => {
    await appendOutbox(queue.sql, [event()])
    const asked: number[] = []
    let isAway = true
    start(async (batch) => {
      asked.push(Date.now())
      if (isAway) throw new AppError('UNAVAILABLE', 'the queue tier does not answer')
      return reallyEnqueue(batch)
    })
    await until(async () => (await outbox())[0]?.attempts >= 2)
    expect((await outbox())[0]).toMatchObject({ last_error: 'the queue tier does not answer', parked_at: null })
    isAway = false
    await delivered()
    expect(asked.length).toBeGreaterThanOrEqual(3)
    expect((asked[1] ?? 0) - (asked[0] ?? 0)).toBeGreaterThanOrEqual(120)
  })

  test('needs a second connection in the queue’s own tier, which does not start with one', () => {
    const problem = () => parseConfig(queueConfig, { DATABASE_POOL_SIZE: '1' })
    expect(problem).toThrow('DATABASE_POOL_SIZE: ')
    expect(() => parseConfig(queueConfig, { DATABASE_POOL_SIZE: '2' })).not.toThrow('DATABASE_POOL_SIZE: ')
  })

  test('drain returns when all that is due is delivered, and shows its numbers', async () => {
    const registry = new Registry()
    await appendOutbox(queue.sql, [event(), event({ eventType: 'nobody.cares' })])
    const relay = start(reallyEnqueue, registry)
    await relay.drain()
    expect(await jobs()).toHaveLength(1)
    expect(await registry.metrics()).toContain('outbox_parked 1')
    expect(await registry.metrics()).toContain('outbox_pending 0')
  })
})
