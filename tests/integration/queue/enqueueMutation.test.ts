import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { PLATFORM_TENANT } from '#platform/database/tenantScope.ts'
import { demo, rival, until } from './queueDatabase.ts'
import { findAudits, OLTP, OPERATOR, type QueueTier, SUPPORT, startQueueTier, userOf } from './queueTier.ts'

let tier: QueueTier
const owner = userOf(demo, 'owner')
beforeAll(async () => {
  tier = await startQueueTier()
})
afterAll(() => tier.stop())
beforeEach(() => tier.sql.query(`DELETE FROM jobs WHERE job_type <> 'recordAudit'`))

const ENQUEUE = `mutation ($input: EnqueueInput!) { enqueue(input: $input) {
  jobId status job { id jobType status priority payload runAt expiresAt queue { name } } } }`
const refresh = { queueName: 'analytics-processing', jobType: 'refreshViews', payload: {} }
const ask = async (changes: object = {}, caller = OPERATOR) => {
  const { data, errors } = await tier.ask(ENQUEUE, { input: { ...refresh, ...changes } }, caller)
  return errors ? errors[0]?.extensions.code : data.enqueue
}
const countJobs = async () => {
  const { rows } = await tier.sql.query(`SELECT count(*)::int FROM jobs WHERE job_type <> 'recordAudit'`)
  return rows[0].count
}

describe('an operator', () => {
  test('enqueues a job of the platform’s own, with a receipt, and is in the audit log', async () => {
    const answer = await ask({ priority: 3 })
    expect(answer).toMatchObject({
      status: 'ENQUEUED',
      job: {
        id: answer.jobId,
        jobType: 'refreshViews',
        status: 'QUEUED',
        priority: 3,
        queue: { name: refresh.queueName },
      },
    })
    const { rows } = await tier.sql.query('SELECT tenant_id, user_id FROM jobs WHERE id = $1', [answer.jobId])
    expect(rows).toEqual([{ tenant_id: PLATFORM_TENANT, user_id: OPERATOR.userId }])
    const [entry] = await until(async () => {
      const all = await findAudits(tier.sql, PLATFORM_TENANT, 'job.enqueued')
      return all.length > 0 && all
    })
    expect(entry).toMatchObject({ adminUserId: OPERATOR.userId, resourceId: answer.jobId })
  })

  test('or of a tenant they name, whose people see it; the rival’s don’t', async () => {
    const { jobId } = await ask({ tenantId: demo })
    const JOB = 'query ($id: ID!) { job(id: $id) { id } }'
    expect((await tier.ask(JOB, { id: jobId }, owner)).data.job).toEqual({ id: jobId })
    expect((await tier.ask(JOB, { id: jobId }, userOf(rival, 'owner'))).data.job).toBeNull()
  })

  test('gets the same job for the same idempotency key, and CONFLICT for another job under it', async () => {
    const idempotencyKey = randomUUID()
    const { jobId } = await ask({ idempotencyKey })
    expect(await ask({ idempotencyKey })).toMatchObject({ jobId, status: 'DUPLICATE', job: { id: jobId } })
    expect(await ask({ idempotencyKey, payload: { other: true } })).toBe('CONFLICT')
    expect(await countJobs()).toBe(1)
    await tier.sql.query('DELETE FROM jobs WHERE id = $1', [jobId])
    expect(await ask({ idempotencyKey })).toEqual({ jobId, status: 'DUPLICATE', job: null })
  })

  test('has a unique key keep, replace or refuse', async () => {
    const uniqueKey = randomUUID()
    const first = await ask({ uniqueKey, delaySeconds: 60 })
    expect(await ask({ uniqueKey })).toMatchObject({ jobId: first.jobId, status: 'DUPLICATE' })
    expect(await ask({ uniqueKey, uniquePolicy: 'REJECT' })).toBe('CONFLICT')
    const payload = { newer: true }
    expect(await ask({ uniqueKey, uniquePolicy: 'REPLACE', payload })).toMatchObject({
      ...{ jobId: first.jobId, status: 'REPLACED', job: { payload } },
    })
    expect(await countJobs()).toBe(1)
  })

  test('says when: a time in the far past is now, a delay is from now', async () => {
    const past = await ask({ runAt: '1999-01-01T00:00:00Z' })
    expect(past).toMatchObject({ status: 'ENQUEUED', job: { status: 'QUEUED' } })
    const { rows } = await tier.sql.query('SELECT is_due FROM jobs WHERE id = $1', [past.jobId])
    expect(rows).toEqual([{ is_due: true }])
    const later = await ask({ delaySeconds: 3_600, expiresAt: '2100-01-01T00:00:00Z' })
    const inMs = Date.parse(later.job.runAt) - Date.now()
    expect(inMs).toBeGreaterThan(3_500_000)
    expect(inMs).toBeLessThan(3_700_000)
    expect(later.job.expiresAt).toBe('2100-01-01T00:00:00.000Z')
  })
})

describe('nothing is enqueued', () => {
  test('for what no worker would run or no queue could keep: INVALID_INPUT', async () => {
    const deep = JSON.parse(`${'{"a":'.repeat(300)}1${'}'.repeat(300)}`)
    const bad = [
      { queueName: 'nowhere' },
      { queueName: 'billing-sync' },
      { jobType: 'noSuchTask' },
      { payload: [] },
      { payload: 'text' },
      { payload: { text: 'x'.repeat(2 ** 20) } },
      { payload: { text: 'x'.repeat(10 * 2 ** 20) } },
      { payload: { text: 'a\0b' } },
      { payload: deep },
      { jobType: 'deliverNotification', queueName: 'notification-delivery', payload: { title: 'no key, no user' } },
      { priority: 0 },
      { priority: -5 },
      { delaySeconds: -1 },
      { delaySeconds: 2_000_000_000 },
      { delaySeconds: 1, runAt: '2100-01-01T00:00:00Z' },
      { uniquePolicy: 'REPLACE' },
      { uniqueKey: 'a', uniqueForSeconds: 0 },
      { uniqueKey: '' },
      { idempotencyKey: '' },
      { tenantId: 'nobody' },
    ]
    for (const input of bad) expect([input, await ask(input)].at(-1)).toBe('INVALID_INPUT')
    expect(await countJobs()).toBe(0)
  })

  test('that is believed because it comes from an outbox: no audit entry and no event is made up', async () => {
    for (const jobType of ['recordAudit', 'rollUpEvents']) {
      expect(await ask({ jobType })).toBe('FORBIDDEN')
      expect(await ask({ jobType }, owner)).toBe('FORBIDDEN')
    }
    expect(await countJobs()).toBe(0)
  })

  test('by tenants’ users, for no job type is open to them yet; nor by support and services', async () => {
    for (const caller of [owner, userOf(demo, 'viewer'), SUPPORT, OLTP]) expect(await ask({}, caller)).toBe('FORBIDDEN')
    expect(await ask({ jobType: 'replayDeadLetters', payload: { filter: { tenantId: rival } } }, owner)).toBe(
      'FORBIDDEN',
    )
    expect(await ask({ tenantId: rival }, owner)).toBe('FORBIDDEN')
    expect(await countJobs()).toBe(0)
  })
})

test('a tier enqueues with delay, expiry, unique key and concurrency key', async () => {
  const INTERNAL = `mutation ($jobs: [EnqueueJobInput!]!) { enqueueJobs(jobs: $jobs) { jobId status error } }`
  const job = { tenantId: demo, source: 'test', queueName: 'email-sending', jobType: 'sendMessage', payload: {} }
  const jobs = [
    { ...job, key: '1', delayMs: 5_000_000_000, expiresAt: '2100-01-01T00:00:00Z', concurrencyKey: 'mailbox' },
    { ...job, key: '2', uniqueKey: 'one', uniquePolicy: 'REPLACE' },
    { ...job, key: '3', uniqueKey: 'one', uniquePolicy: 'REPLACE', payload: { newer: true } },
    { ...job, key: '4', uniqueKey: 'one', uniquePolicy: 'REJECT' },
    { ...job, key: '5', delayMs: -1 },
  ]
  const { data } = await tier.ask(INTERNAL, { jobs }, OLTP)
  const statuses = data.enqueueJobs.map(({ status }: { status: string }) => status)
  expect(statuses).toEqual(['ENQUEUED', 'ENQUEUED', 'REPLACED', 'REJECTED', 'REJECTED'])
  const { rows } = await tier.sql.query(
    `SELECT concurrency_key, expires_at, run_at > now() + interval '57 days' AS later FROM jobs WHERE id = $1`,
    [data.enqueueJobs[0].jobId],
  )
  expect(rows).toEqual([{ concurrency_key: 'mailbox', expires_at: new Date('2100-01-01T00:00:00Z'), later: true }])
})
