import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { STAFF_INBOX } from '#platform/contracts/notification.ts'
import { DEFAULT_ALERTS, ensureDefaultAlerts } from '../../../subgraphs/queue/engine/defaultAlerts.ts'
import { DEMO, START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../../support/graph.ts'
import { type AlertDesk, at, openAlertDesk } from './alertDesk.ts'
import { until } from './queueDatabase.ts'

let desk: AlertDesk
beforeAll(async () => {
  desk = await openAlertDesk()
})
beforeEach(() => desk.clear())
afterAll(() => desk?.close())

async function history() {
  const { rows } = await desk.sql.query(
    'SELECT value, message, fired_at, resolved_at FROM queue_alert_history ORDER BY fired_at',
  )
  return rows
}

async function told() {
  const { rows } = await desk.sql.query(
    `SELECT tenant_id, payload->>'userId' AS user, payload->>'type' AS type, payload->>'title' AS title,
       payload->>'channel' AS channel, payload->>'priority' AS priority, payload->'metadata' AS metadata
     FROM outbox_events WHERE event_type = 'notification.requested' ORDER BY id`,
  )
  return rows
}
describe('an alert', () => {
  test('fires when it has been above its threshold for its hold time, and ends when it has been down for as long', async () => {
    const alertId = await desk.watch('high_pending', { threshold: 2, resolve_threshold: 1, hold_seconds: 20 })
    await desk.setWaiting(2)
    expect(await desk.evaluate(0)).toEqual({ fired: [], resolved: [] })
    await desk.setWaiting(3)
    expect((await desk.evaluate(10)).fired).toEqual([])
    expect((await desk.evaluate(20)).fired).toEqual([])
    // Down once: the hold time begins anew.
    await desk.setWaiting(2)
    expect((await desk.evaluate(30)).fired).toEqual([])
    await desk.setWaiting(3)
    expect((await desk.evaluate(40)).fired).toEqual([])
    expect((await desk.evaluate(50)).fired).toEqual([])
    expect((await desk.evaluate(60)).fired).toMatchObject([{ alertId, value: 3 }])
    // It burns: that is said once.
    expect((await desk.evaluate(70)).fired).toEqual([])
    // Below the threshold, but not down to where it ends.
    await desk.setWaiting(2)
    expect((await desk.evaluate(80)).resolved).toEqual([])
    expect((await desk.evaluate(110)).resolved).toEqual([])
    await desk.setWaiting(1)
    expect((await desk.evaluate(120)).resolved).toEqual([])
    await desk.setWaiting(2)
    expect((await desk.evaluate(130)).resolved).toEqual([])
    await desk.setWaiting(1)
    expect((await desk.evaluate(140)).resolved).toEqual([])
    expect((await desk.evaluate(160)).resolved).toMatchObject([{ alertId, value: 1 }])
    expect(await history()).toEqual([
      {
        value: 3,
        message: expect.stringContaining('3 jobs could run and wait'),
        fired_at: at(60),
        resolved_at: at(160),
      },
    ])
    // And once more.
    await desk.setWaiting(5)
    await desk.evaluate(170)
    expect((await desk.evaluate(190)).fired).toMatchObject([{ value: 5 }])
    expect(await history()).toHaveLength(2)
  })

  test('tells the staff by every channel it names, when it fires and when it ends', async () => {
    await desk.watch('high_pending', {
      name: 'too many',
      threshold: 0,
      severity: 'critical',
      channels: ['in_app', 'email', 'pigeon'],
    })
    await desk.setWaiting(1, { queueName: 'billing-sync' })
    await desk.evaluate(0)
    await desk.setWaiting(0)
    await desk.evaluate(10)
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
    await desk.watch('high_pending', { threshold: 0 })
    await desk.setWaiting(1)
    const evaluations = await Promise.all([1, 2, 3, 4].map(() => desk.evaluate(0)))
    expect(evaluations.flatMap(({ fired }) => fired)).toHaveLength(1)
    expect(await history()).toHaveLength(1)
    expect(await told()).toHaveLength(1)
    await desk.setWaiting(0)
    expect((await desk.evaluate(7)).resolved).toEqual([])
    expect((await desk.evaluate(8)).resolved).toHaveLength(1)
  })

  test('does not take a time in which nobody looked for one in which it was above', async () => {
    await desk.watch('high_pending', { threshold: 0, hold_seconds: 60 })
    await desk.setWaiting(1)
    expect((await desk.evaluate(0)).fired).toEqual([])
    expect((await desk.evaluate(3_600)).fired).toEqual([])
    expect((await desk.evaluate(3_640)).fired).toEqual([])
    expect((await desk.evaluate(3_660)).fired).toHaveLength(1)
  })

  test('that is switched off never fires; one that burns then ends without a word', async () => {
    const id = await desk.watch('high_pending', { threshold: 0 })
    await desk.setWaiting(1)
    await desk.evaluate(0)
    await desk.sql.query('UPDATE queue_alerts SET is_active = false WHERE id = $1', [id])
    expect(await desk.evaluate(10)).toEqual({ fired: [], resolved: [] })
    expect(await history()).toMatchObject([{ resolved_at: at(10) }])
    expect((await desk.evaluate(20)).fired).toEqual([])
    expect(await told()).toHaveLength(1)
  })

  test('whose value cannot be had changes nothing, and takes no other with it', async () => {
    await desk.watch('high_pending', { threshold: 0 })
    await desk.watch('dead_letters', { name: 'letters', threshold: -1 })
    await desk.setWaiting(1)
    const owner = new pg.Client({ connectionString: desk.queue.ownerUrl })
    await owner.connect()
    await owner.query('ALTER TABLE dead_letter_jobs RENAME TO mislaid')
    try {
      expect((await desk.evaluate(0)).fired).toMatchObject([{ name: 'test high_pending' }])
    } finally {
      await owner.query('ALTER TABLE mislaid RENAME TO dead_letter_jobs')
      await owner.end()
    }
    expect((await desk.evaluate(10)).fired).toMatchObject([{ name: 'letters' }])
  })
})

describe('the platform’s own alerts', () => {
  test('are there after any number of workers started, as the operators left them', async () => {
    await Promise.all([1, 2, 3].map(() => ensureDefaultAlerts(desk.sql)))
    const read = async () => (await desk.sql.query('SELECT * FROM queue_alerts ORDER BY name')).rows
    expect((await read()).map(({ name }) => name)).toEqual(DEFAULT_ALERTS.map(({ name }) => name).sort())
    await desk.sql.query(`UPDATE queue_alerts SET threshold = 7, is_active = false WHERE name = 'Jobs pile up'`)
    const changed = await read()
    await ensureDefaultAlerts(desk.sql)
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
      holdSeconds: 0, severity: CRITICAL }) { alert { id name } } }`
    const created = await platform.ask(CREATE, {}, staff)
    expect(created.data?.createQueueAlert.alert).toMatchObject({ name: 'always' })
    const nodes = await until(async () => {
      const { data } = await platform.ask(INBOX, {}, staff)
      const mine = (data?.notifications.nodes ?? []).filter(({ title }: { title: string }) => title === 'always')
      return mine.length > 0 && mine
    }, 90_000)
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
  }, 120_000)
})
