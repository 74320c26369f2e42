import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { demo, makeWorker, request, rival, until } from './queueDatabase.ts'
import { findAudits, OLTP, OPERATOR, type QueueTier, SUPPORT, startQueueTier, userOf } from './queueTier.ts'

let tier: QueueTier
const owner = userOf(demo, 'owner')
const stranger = userOf(rival, 'owner')
beforeAll(async () => {
  tier = await startQueueTier()
})
afterAll(() => tier.stop())

describe('staff’s pages', () => {
  const PAGES = [
    '{ workers { totalCount nodes { id host queues processed } } }',
    '{ jobMetrics(range: { from: "2026-01-01T00:00:00Z", to: "2027-01-01T00:00:00Z" }) { completed queue { name } } }',
    '{ queueAlerts { totalCount nodes { name alertType severity queue { name } } } }',
    '{ queueAlertHistory { totalCount nodes { value alert { name queue { name } } } } }',
  ]
  test('are closed to tenants and services', async () => {
    for (const page of PAGES) {
      for (const caller of [owner, OLTP]) {
        expect((await tier.ask(page, {}, caller)).errors?.[0]?.extensions.code).toBe('FORBIDDEN')
      }
    }
  })

  test('show what is there, and that staff looked is recorded', async () => {
    const workerId = await makeWorker(tier.sql)
    const alertId = randomUUID()
    await tier.sql.query(
      `INSERT INTO queue_alerts (id, name, queue_name, alert_type, threshold) VALUES ($1, 'deep', 'billing-sync', 'high_pending', 10)`,
      [alertId],
    )
    await tier.sql.query(
      `INSERT INTO queue_alert_history (id, alert_id, value, message) VALUES ($1, $2, 12, 'too deep')`,
      [randomUUID(), alertId],
    )
    await tier.sql.query(
      `INSERT INTO job_metrics (granularity, bucket_at, queue_name, job_type, completed) VALUES ('hour', '2026-03-01', 'billing-sync', 'echo', 7)`,
    )
    const [workers, metrics, alerts, firings] = await Promise.all(PAGES.map((page) => tier.ask(page, {}, SUPPORT)))
    expect(workers?.data.workers).toMatchObject({ totalCount: 1, nodes: [{ id: workerId, processed: 0 }] })
    expect(metrics?.data.jobMetrics).toEqual([{ completed: 7, queue: { name: 'billing-sync' } }])
    expect(alerts?.data.queueAlerts.nodes).toEqual([
      { name: 'deep', alertType: 'HIGH_PENDING', severity: 'WARNING', queue: { name: 'billing-sync' } },
    ])
    expect(firings?.data.queueAlertHistory.nodes).toEqual([
      { value: 12, alert: { name: 'deep', queue: { name: 'billing-sync' } } },
    ])
    await until(
      async () => (await findAudits(tier.sql, '00000000-0000-0000-0000-000000000000', 'staff.read')).length > 0,
    )
  })

  test('schedules are the tenant’s own', async () => {
    await tier.sql.query(
      `INSERT INTO scheduled_jobs (tenant_id, id, name, queue_name, job_type, cron_expression) VALUES ($1, $2, 'nightly', 'billing-sync', 'echo', '0 3 * * *')`,
      [demo, randomUUID()],
    )
    const LIST = '{ scheduledJobs { nodes { name cronExpression queue { name } } } }'
    expect((await tier.ask(LIST, {}, owner)).data.scheduledJobs.nodes).toEqual([
      { name: 'nightly', cronExpression: '0 3 * * *', queue: { name: 'billing-sync' } },
    ])
    expect((await tier.ask(LIST, {}, stranger)).data.scheduledJobs.nodes).toEqual([])
    expect((await tier.ask(LIST, {}, SUPPORT)).data.scheduledJobs.nodes).toHaveLength(1)
  })
})

describe('enqueueJobs', () => {
  const ENQUEUE = 'mutation ($jobs: [EnqueueJobInput!]!) { enqueueJobs(jobs: $jobs) { key jobId status error } }'

  test('answers for each job, for services only', async () => {
    const good = request({ runAt: '2030-01-01T00:00:00Z', priority: 7, campaignId: randomUUID() })
    const { data, errors } = await tier.ask(
      ENQUEUE,
      { jobs: [good, good, request({ key: 'k', queueName: 'nowhere' })] },
      OLTP,
    )
    expect(errors).toBeUndefined()
    expect(data.enqueueJobs).toEqual([
      { key: good.key, jobId: expect.any(String), status: 'ENQUEUED', error: null },
      { key: good.key, jobId: data.enqueueJobs[0].jobId, status: 'DUPLICATE', error: null },
      { key: 'k', jobId: null, status: 'REJECTED', error: 'there is no queue nowhere' },
    ])
    for (const caller of [owner, OPERATOR]) {
      expect((await tier.ask(ENQUEUE, { jobs: [good] }, caller)).errors?.[0]?.extensions.code).toBe('FORBIDDEN')
    }
    const tooMany = Array(1_001).fill(good)
    expect((await tier.ask(ENQUEUE, { jobs: tooMany }, OLTP)).errors?.[0]?.extensions.code).toBe('INVALID_INPUT')
  })
})
