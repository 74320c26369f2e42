import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { AppError } from '#platform/errors.ts'
import type { ServiceClient } from '#platform/graph/serviceClient.ts'
import { appendOutbox } from '#platform/outbox/append.ts'
import { type Relay, startRelay } from '#platform/outbox/relay.ts'
import type { EventPayload, JobDescription, OutboxRoute } from '#platform/outbox/route.ts'
import type { ClaimedJob } from '../../../subgraphs/queue/engine/job.ts'
import { demo, openQueueDatabase, type QueueDatabase, rival, silent, until } from './queueDatabase.ts'
import { OLTP, type QueueTier, startQueueTier } from './queueTier.ts'
import { startRunner, task } from './runner.ts'

/** Each event says itself what its route is to say about it. */
const asItSays: OutboxRoute = {
  queueName: 'notification-delivery',
  jobType: 'echo',
  priority: 42,
  describe: ({ says, inMs, ...payload }: EventPayload) => {
    if (says === 'nonsense') throw new Error('what is that?')
    return {
      ...(says as JobDescription),
      ...(typeof inMs === 'number' && { runAt: dateAfter(inMs, payload.acceptedAt) }),
    }
  },
}
const dateAfter = (ms: number, since: string) => new Date(Date.parse(since) + ms)

let tier: QueueTier
/** Whose outbox it is: a tier of its own, with a database of its own. */
let producer: QueueDatabase
const relays: Relay[] = []
beforeAll(async () => {
  ;[tier, producer] = await Promise.all([startQueueTier(), openQueueDatabase()])
})
afterEach(async () => {
  await Promise.all(relays.splice(0).map((relay) => relay.stop()))
  await producer.sql.query('DELETE FROM outbox_events')
  await tier.sql.query('DELETE FROM jobs; DELETE FROM enqueue_receipts; DELETE FROM unique_job_keys')
  await tier.sql.query('UPDATE job_queues SET max_concurrent_per_key = NULL')
})
afterAll(() => Promise.all([tier.stop(), producer.close()]))

/** The queue tier’s own mutation, by the caller that the OLTP tier’s relay is. `losesAnswers` of its calls end unheard. */
function queueClient({ losesAnswers = 0 } = {}): ServiceClient {
  let lost = 0
  return {
    to: 'queue',
    async request<Data>(query: string, variables = {}) {
      const { data, errors } = await tier.ask(query, variables, OLTP)
      if (errors?.[0]) throw new AppError('INVALID_INPUT', errors[0].message)
      if (lost++ < losesAnswers) throw new AppError('UNAVAILABLE', 'the queue tier does not answer')
      return data as Data
    },
  }
}
const relay = (queue = queueClient()) => {
  const routes = { 'thing.happened': asItSays }
  const started = startRelay({ tier: 'oltp', systemSql: producer.sql, queue, routes, log: silent })
  relays.push(started)
  return started
}
const append = (payload: object, tenantId: string = demo) =>
  appendOutbox(producer.sql, [
    { tenantId, aggregateType: 'Campaign', aggregateId: randomUUID(), eventType: 'thing.happened', payload },
  ]).then(([id]) => id as string)
const says = (description: JobDescription, payload: object = {}, tenantId: string = demo) =>
  append({ ...payload, says: description }, tenantId)
const outbox = async () => (await producer.sql.query('SELECT * FROM outbox_events ORDER BY id')).rows
const jobs = async () => (await tier.sql.query('SELECT * FROM jobs ORDER BY seq')).rows
const delivered = () => until(async () => (await outbox()).length === 0)

describe('what a route says about an event', () => {
  test('its job has: a priority, a time not to run after, and its own key to be limited by', async () => {
    await says({ priority: 7, concurrencyKey: 'mailbox 1', expiresAt: null })
    await says({})
    relay()
    await delivered()
    expect(await jobs()).toMatchObject([
      { tenant_id: demo, priority: 7, concurrency_key: 'mailbox 1', unique_key: null, is_due: true },
      { tenant_id: demo, priority: 42, concurrency_key: null, is_due: true },
    ])
  })

  test('a delay is counted from when the event was written, however late the relay is', async () => {
    const first = await says({ delayMs: 600_000 })
    const late = await says({ delayMs: 600_000 })
    const passed = await says({ delayMs: 1_000 })
    const byCalendar = await append({ inMs: 3_600_000 })
    await producer.sql.query(
      `UPDATE outbox_events SET created_at = created_at - interval '1 minute' WHERE id = ANY($1)`,
      [[late, passed]],
    )
    relay()
    await delivered()
    const rows = await jobs()
    const delayOf = (id: string) => {
      const { run_at, payload } = rows.find((row) => row.payload.eventId === id)
      return run_at.getTime() - Date.parse(payload.acceptedAt)
    }
    expect([first, late, passed, byCalendar].map(delayOf)).toEqual([600_000, 600_000, 1_000, 3_600_000])
    expect(rows.map(({ is_due }) => is_due)).toEqual([false, false, true, false])
  })

  test('a delayed job runs when its time has come and not before; one key’s jobs run one after another', async () => {
    await tier.sql.query(`UPDATE job_queues SET max_concurrent_per_key = 1 WHERE name = 'notification-delivery'`)
    const ran: { job: ClaimedJob; from: number; to: number }[] = []
    const runner = startRunner({ ...producer, sql: tier.sql }, [
      task(async ([item]) => {
        const from = Date.now()
        await new Promise((resolve) => setTimeout(resolve, 60))
        ran.push({ job: (item as { job: ClaimedJob }).job, from, to: Date.now() })
        return undefined
      }),
    ])
    try {
      relay()
      const delayed = await says({ delayMs: 700 })
      await Promise.all([1, 2, 3].map(() => says({ concurrencyKey: 'mailbox 1' })))
      await until(() => ran.length === 4)
      const isDelayed = ({ job }: (typeof ran)[number]) => (job.payload as EventPayload).eventId === delayed
      const [late] = ran.filter(isDelayed) as [(typeof ran)[number]]
      expect(late.from - Date.parse((late.job.payload as EventPayload).acceptedAt)).toBeGreaterThanOrEqual(699)
      const keyed = ran.filter((one) => !isDelayed(one)).toSorted((x, y) => x.from - y.from)
      for (const [index, { from }] of keyed.slice(1).entries()) {
        expect(from).toBeGreaterThanOrEqual((keyed[index]?.to ?? 0) - 1)
      }
    } finally {
      await runner.stop(1_000)
    }
  })

  test('events of one unique key are one job, of another tenant another; the later one may replace the first', async () => {
    await says({ uniqueKey: 'sync 1' }, { n: 1 })
    await says({ uniqueKey: 'sync 1' }, { n: 2 })
    await says({ uniqueKey: 'sync 1' }, { n: 3 }, rival)
    await says({ uniqueKey: 'sync 2', uniquePolicy: 'replace', uniqueForSeconds: 60, delayMs: 60_000 }, { n: 4 })
    await says({ uniqueKey: 'sync 2', uniquePolicy: 'replace', uniqueForSeconds: 60, delayMs: 90_000 }, { n: 5 })
    relay()
    await delivered()
    const rows = await jobs()
    expect(rows.map(({ tenant_id, payload, unique_key }) => [tenant_id, payload.n, unique_key])).toEqual([
      [demo, 1, 'sync 1'],
      [rival, 3, 'sync 1'],
      [demo, 5, 'sync 2'],
    ])
    expect(rows[2].run_at.getTime() - Date.parse(rows[2].payload.acceptedAt)).toBe(90_000)
    const { rows: receipts } = await tier.sql.query('SELECT job_id FROM enqueue_receipts')
    expect(receipts).toHaveLength(5)
  })

  test('is said again of a repeat, which changes nothing: not the time, and not what replaced it since', async () => {
    await says({ uniqueKey: 'sync 1', uniquePolicy: 'replace', delayMs: 60_000 }, { n: 1 })
    await says({ concurrencyKey: 'mailbox 1', delayMs: 60_000 }, { n: 2 })
    const before = relay(queueClient({ losesAnswers: 1 }))
    await until(async () => (await outbox()).every(({ attempts }) => attempts === 1) && (await jobs()).length === 2)
    await before.stop()
    const once = await jobs()
    // The event that the queue has heard of already comes after one that replaced its job.
    await tier.sql.query(`UPDATE jobs SET payload = payload || '{"n": 9}' WHERE unique_key IS NOT NULL`)
    await producer.sql.query('UPDATE outbox_events SET next_attempt_at = now()')
    relay()
    await delivered()
    const twice = await jobs()
    expect(twice.map(({ id, run_at, payload }) => [id, run_at, payload.n])).toEqual([
      [once[0].id, once[0].run_at, once[0].unique_key ? 9 : 2],
      [once[1].id, once[1].run_at, once[1].unique_key ? 9 : 2],
    ])
  })

  test('parks it alone when it makes no sense', async () => {
    const poison = [
      await append({ says: 'nonsense' }),
      await append({ inMs: Number.MAX_SAFE_INTEGER }),
      await says({ delayMs: -1 }),
      await says({ delayMs: 5, runAt: null, uniqueKey: '' }),
      await says({ uniqueForSeconds: 60 }),
      await append({ says: { uniqueKey: 'a', uniquePolicy: 'reject' } }),
      await append({ says: { queueName: 'analytics-processing' } }),
    ]
    await says({})
    relay()
    const parked = await until(async () => {
      const rows = await outbox()
      return rows.length === poison.length && rows.every(({ parked_at }) => parked_at) && rows
    })
    expect(await jobs()).toHaveLength(1)
    expect(poison.map((id) => parked.find((row) => row.id === id).last_error)).toEqual([
      'what is that?',
      expect.stringMatching(/runAt: .*date/),
      expect.stringContaining('delayMs: '),
      expect.stringContaining('uniqueKey: '),
      expect.stringContaining('uniqueKey: is what a window or a policy is for'),
      expect.stringContaining('uniquePolicy: '),
      expect.stringContaining('queueName'),
    ])
  })
})
