import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { PLATFORM_TENANT } from '#platform/database/tenantScope.ts'
import { demo, until } from './queueDatabase.ts'
import { findAudits, OLTP, OPERATOR, type QueueTier, SUPPORT, startQueueTier, userOf } from './queueTier.ts'

let tier: QueueTier
const owner = userOf(demo, 'owner')
beforeAll(async () => {
  tier = await startQueueTier()
  // Nobody evaluates them here: an evaluation writes to them too.
  await tier.sql.query(`UPDATE chore_marks SET reached_at = now() + interval '1 day' WHERE name = 'alerts'`)
})
afterAll(() => tier?.stop())
beforeEach(async () => {
  await tier.sql.query('DELETE FROM queue_alert_history')
  await tier.sql.query('DELETE FROM queue_alerts')
})

const ALERT = `alert { id name queue { name } alertType threshold resolveThreshold windowSeconds holdSeconds severity
  channels isActive isBurning }`
const CREATE = `mutation ($input: CreateQueueAlertInput!) { createQueueAlert(input: $input) { ${ALERT} } }`
const UPDATE = `mutation ($input: UpdateQueueAlertInput!) { updateQueueAlert(input: $input) { ${ALERT} } }`
const ACKNOWLEDGE = `mutation ($input: AcknowledgeAlertInput!) { acknowledgeAlert(input: $input) {
  firing { id acknowledgedAt acknowledgedBy acknowledgementNote alert { name isBurning } } } }`

type Caller = typeof owner
const codeOf = async (query: string, input: object, caller: Caller = OPERATOR) =>
  (await tier.ask(query, { input }, caller)).errors?.[0]?.extensions.code
const create = async (changes: object = {}) => {
  const input = { name: 'deep', alertType: 'HIGH_PENDING', threshold: 10, ...changes }
  const { data, errors } = await tier.ask(CREATE, { input }, OPERATOR)
  expect(errors).toBeUndefined()
  return data.createQueueAlert.alert
}
const burn = async (alertId: string) => {
  const id = randomUUID()
  await tier.sql.query(
    `INSERT INTO queue_alert_history (id, alert_id, value, message) VALUES ($1, $2, 12, 'too deep')`,
    [id, alertId],
  )
  return id
}
const audits = (action: string, resourceId: string) =>
  until(async () => {
    const entries = await findAudits(tier.sql, PLATFORM_TENANT, action)
    return entries.find((entry) => entry.resourceId === resourceId)
  })

describe('operators', () => {
  test('make an alert, which says what it will go by', async () => {
    const alert = await create()
    expect(alert).toEqual({
      id: expect.any(String),
      ...{ name: 'deep', queue: null, alertType: 'HIGH_PENDING', threshold: 10, resolveThreshold: null },
      ...{
        windowSeconds: 300,
        holdSeconds: 60,
        severity: 'WARNING',
        channels: ['in_app'],
        isActive: true,
        isBurning: false,
      },
    })
    const whole = {
      ...{ name: 'slow mail', queueName: 'email-sending', alertType: 'SLOW_PROCESSING', threshold: 900.5 },
      ...{
        resolveThreshold: 500,
        windowSeconds: 600,
        holdSeconds: 0,
        severity: 'CRITICAL',
        channels: [],
        isActive: false,
      },
    }
    const { queueName, ...rest } = whole
    expect(await create(whole)).toMatchObject({ ...rest, queue: { name: queueName } })
    expect(await audits('alert.created', alert.id)).toMatchObject({
      adminUserId: OPERATOR.userId,
      resourceType: 'QueueAlert',
      newValues: { name: 'deep', alertType: 'high_pending', threshold: 10, queueName: null },
    })
  })

  test('change what they name of it and nothing else; its hold time begins anew', async () => {
    const { id } = await create({ resolveThreshold: 5 })
    await tier.sql.query('UPDATE queue_alerts SET above_since_at = now() WHERE id = $1', [id])
    const change = async (input: object) =>
      (await tier.ask(UPDATE, { input: { id, ...input } }, OPERATOR)).data.updateQueueAlert.alert
    const changed = await change({ threshold: 20, severity: 'INFO' })
    expect(changed).toMatchObject({
      name: 'deep',
      threshold: 20,
      resolveThreshold: 5,
      severity: 'INFO',
      isActive: true,
    })
    const { rows } = await tier.sql.query('SELECT above_since_at FROM queue_alerts WHERE id = $1', [id])
    expect(rows).toEqual([{ above_since_at: null }])
    expect(await change({ resolveThreshold: null, isActive: false })).toMatchObject({
      resolveThreshold: null,
      isActive: false,
    })
    expect(await audits('alert.updated', id)).toMatchObject({
      oldValues: { threshold: 10, severity: 'warning' },
      newValues: { threshold: 20, severity: 'info' },
    })
  })

  test('acknowledge what fired, once', async () => {
    const { id: alertId } = await create()
    const id = await burn(alertId)
    const { data, errors } = await tier.ask(ACKNOWLEDGE, { input: { id, note: 'on it' } }, OPERATOR)
    expect(errors).toBeUndefined()
    expect(data.acknowledgeAlert.firing).toEqual({
      id,
      acknowledgedAt: expect.any(String),
      acknowledgedBy: OPERATOR.userId,
      acknowledgementNote: 'on it',
      alert: { name: 'deep', isBurning: true },
    })
    expect(await codeOf(ACKNOWLEDGE, { id })).toBe('CONFLICT')
    expect(await audits('alert.acknowledged', id)).toMatchObject({ resourceType: 'QueueAlertFiring', notes: 'on it' })
  })

  test('are two at once: one of them acknowledges', async () => {
    const id = await burn((await create()).id)
    const codes = await Promise.all([1, 2, 3].map(() => codeOf(ACKNOWLEDGE, { id })))
    expect(codes.sort()).toEqual(['CONFLICT', 'CONFLICT', undefined])
  })
})

describe('refused', () => {
  test('are all but operators, with nothing changed', async () => {
    const { id } = await create()
    const firing = await burn(id)
    const before = await tier.sql.query('SELECT * FROM queue_alerts')
    for (const caller of [owner, OLTP, SUPPORT]) {
      const input = { name: 'mine', alertType: 'HIGH_PENDING', threshold: 1 }
      expect(await codeOf(CREATE, input, caller)).toBe('FORBIDDEN')
      expect(await codeOf(UPDATE, { id, threshold: 1 }, caller)).toBe('FORBIDDEN')
      expect(await codeOf(ACKNOWLEDGE, { id: firing }, caller)).toBe('FORBIDDEN')
    }
    expect((await tier.sql.query('SELECT * FROM queue_alerts')).rows).toEqual(before.rows)
  })

  test('is a name that is taken', async () => {
    const { id } = await create()
    await create({ name: 'deeper' })
    expect(await codeOf(CREATE, { name: 'deep', alertType: 'DEAD_LETTERS', threshold: 1 })).toBe('CONFLICT')
    expect(await codeOf(UPDATE, { id, name: 'deeper' })).toBe('CONFLICT')
    expect(await codeOf(UPDATE, { id, name: 'deep' })).toBeUndefined()
  })

  test('are alerts and firings that do not exist, and ids that are none', async () => {
    expect(await codeOf(UPDATE, { id: randomUUID(), threshold: 1 })).toBe('NOT_FOUND')
    expect(await codeOf(ACKNOWLEDGE, { id: randomUUID() })).toBe('NOT_FOUND')
    expect(await codeOf(UPDATE, { id: 'x' })).toBe('INVALID_INPUT')
    expect(await codeOf(ACKNOWLEDGE, { id: 'x' })).toBe('INVALID_INPUT')
  })

  test.each([
    [{ name: '' }, 'input.name: is empty'],
    [{ name: 'x'.repeat(201) }, 'input.name: is longer than 200 characters'],
    [{ name: 'a\0b' }, 'input.name: holds a character that cannot be stored'],
    [{ threshold: -1 }, 'input.threshold: is less than 0'],
    [{ resolveThreshold: 11 }, 'input.resolveThreshold: is above the threshold'],
    [{ alertType: 'HIGH_ERROR_RATE' }, 'input.threshold: is no share below 1'],
    [{ windowSeconds: 0 }, 'input.windowSeconds: is less than 1'],
    [{ windowSeconds: 86_401 }, 'input.windowSeconds: is more than 86400'],
    [{ alertType: 'SLOW_PROCESSING', windowSeconds: 3_601 }, 'input.windowSeconds: is more than 3600'],
    [{ holdSeconds: -1 }, 'input.holdSeconds: is less than 0'],
    [{ channels: ['pigeon'] }, 'input.channels.0: is none of in_app, email, push'],
    [{ queueName: 'nowhere' }, 'input.queueName: there is no such queue'],
    [{ severity: null }, 'input.severity:'],
  ])('is %j', async (changes, problem) => {
    const input = { name: 'deep', alertType: 'HIGH_PENDING', threshold: 10, ...changes }
    const { errors } = await tier.ask(CREATE, { input }, OPERATOR)
    expect(errors?.[0]).toMatchObject({
      message: expect.stringContaining(problem),
      extensions: { code: 'INVALID_INPUT' },
    })
    expect((await tier.sql.query('SELECT FROM queue_alerts')).rowCount).toBe(0)
  })

  test('is a note that is too long', async () => {
    const id = await burn((await create()).id)
    expect(await codeOf(ACKNOWLEDGE, { id, note: 'x'.repeat(2_001) })).toBe('INVALID_INPUT')
  })
})

test('which alerts burn is told with as many statements for many as for few', async () => {
  const LIST = '{ queueAlerts { nodes { name isBurning } } }'
  const count = async () => {
    const { statements, result } = await tier.db.statements.during(() => tier.ask(LIST, {}, SUPPORT))
    expect(result.errors).toBeUndefined()
    return { statements: statements.filter((text) => text.startsWith('SELECT "public"."queue_alert')).length, result }
  }
  await burn((await create()).id)
  const few = await count()
  for (let n = 0; n < 9; n++) await create({ name: `other ${n}` })
  const many = await count()
  expect(many.statements).toBe(few.statements)
  const burning = many.result.data.queueAlerts.nodes.filter(({ isBurning }: { isBurning: boolean }) => isBurning)
  expect(burning).toEqual([{ name: 'deep', isBurning: true }])
})
