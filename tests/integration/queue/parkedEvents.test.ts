import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { PLATFORM_TENANT } from '#platform/database/tenantScope.ts'
import { appendOutbox } from '#platform/outbox/append.ts'
import { demo, until } from './queueDatabase.ts'
import { findAudits, OPERATOR, type QueueTier, SUPPORT, startQueueTier, userOf } from './queueTier.ts'

let tier: QueueTier
const owner = userOf(demo, 'owner')
beforeAll(async () => {
  tier = await startQueueTier()
})
afterAll(() => tier.stop())

const LIST = `query ($filter: OutboxEventFilter) { queueOutboxEvents(filter: $filter) {
  totalCount nodes { id tenantId eventType lastError parkedAt attempts } } }`
const UNPARK = `mutation ($id: ID!) { unparkQueueOutboxEvent(input: { id: $id }) { event { id parkedAt attempts } } }`
const code = async (id: string, caller = OPERATOR) =>
  (await tier.ask(UNPARK, { id }, caller)).errors?.[0]?.extensions.code

/** An event that no route leads anywhere, parked by the relay. */
async function parkEvent(): Promise<string> {
  const event = { tenantId: demo, aggregateType: 'Job', aggregateId: 'x', eventType: 'job.sang', payload: {} }
  const [id] = await appendOutbox(tier.sql, [event])
  tier.relay.wake()
  await until(async () => (await find(String(id)))?.parked_at)
  return String(id)
}
const find = async (id: string) => (await tier.sql.query('SELECT * FROM outbox_events WHERE id = $1', [id])).rows[0]

test('parked events are listed for staff, who are noted, and for nobody else', async () => {
  const id = await parkEvent()
  const { data } = await tier.ask(LIST, { filter: { isParked: true } }, SUPPORT)
  expect(data.queueOutboxEvents).toEqual({
    totalCount: 1,
    nodes: [
      {
        ...{ id, tenantId: demo, eventType: 'job.sang', attempts: 1, parkedAt: expect.any(String) },
        lastError: 'no route for events of type job.sang',
      },
    ],
  })
  expect((await tier.ask(LIST, { filter: { tenantId: randomUUID() } }, SUPPORT)).data.queueOutboxEvents.nodes).toEqual(
    [],
  )
  const refused = await tier.ask(LIST, {}, owner)
  expect(refused.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  const noted = await until(async () => {
    const reads = await findAudits(tier.sql, PLATFORM_TENANT, 'staff.read')
    return reads.filter(({ resourceType }) => resourceType === 'OutboxEvent').length > 0
  })
  expect(noted).toBe(true)
})

test('an operator has one delivered again: to the queue if it is mended, else it is parked anew', async () => {
  const id = await parkEvent()
  const { data } = await tier.ask(UNPARK, { id }, OPERATOR)
  expect(data.unparkQueueOutboxEvent.event).toEqual({ id, parkedAt: null, attempts: 0 })
  await until(async () => (await find(id))?.parked_at)
  await tier.sql.query(
    `UPDATE outbox_events SET event_type = 'audit.recorded',
       payload = '{"action": "a.b", "resourceType": "Job", "resourceId": "x"}' WHERE id = $1`,
    [id],
  )
  await tier.ask(UNPARK, { id }, OPERATOR)
  await until(async () => !(await find(id)))
  expect(await findAudits(tier.sql, demo, 'a.b')).toHaveLength(1)
  const told = await until(async () => {
    const all = await findAudits(tier.sql, demo, 'outboxEvent.unparked')
    return all.length === 2 && all
  })
  expect(told[0]).toMatchObject({ adminUserId: OPERATOR.userId, resourceId: id })
})

test('others may not, and one that is not parked or not there is told apart', async () => {
  const id = await parkEvent()
  for (const caller of [owner, SUPPORT]) expect(await code(id, caller)).toBe('FORBIDDEN')
  expect(await code(randomUUID())).toBe('NOT_FOUND')
  expect(await code('12')).toBe('INVALID_INPUT')
  await tier.sql.query(
    `UPDATE outbox_events SET parked_at = NULL, next_attempt_at = now() + interval '1 hour' WHERE id = $1`,
    [id],
  )
  expect(await code(id)).toBe('CONFLICT')
})
