import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { PLATFORM_TENANT } from '#platform/database/tenantScope.ts'
import { claimJobs } from '../../../subgraphs/queue/engine/claim.ts'
import { countStatuses, makeEndedJobs, startOperator } from './endedJobs.ts'
import { demo, enqueue, makeWorker, request, rival, until } from './queueDatabase.ts'
import { findAudits, OLTP, OPERATOR, type QueueTier, SUPPORT, startQueueTier, userOf } from './queueTier.ts'

let tier: QueueTier
const owner = userOf(demo, 'owner')
const stranger = userOf(rival, 'owner')
beforeAll(async () => {
  tier = await startQueueTier()
})
afterAll(() => tier.stop())

/** What a mutation answers, or the code of its error. */
// biome-ignore lint/suspicious/noExplicitAny: an answer is whatever was asked for
const change = async (query: string, variables: object, caller = owner): Promise<any> => {
  const { data, errors } = await tier.ask(query, variables, caller)
  return errors ? errors[0]?.extensions.code : Object.values(data)[0]
}
const audited = (tenantId: string, action: string) =>
  until(async () => {
    const all = await findAudits(tier.sql, tenantId, action)
    return all.length > 0 && all.at(-1)
  })

describe('retrying jobs by filter', () => {
  const RETRY = `mutation ($input: RetryJobsInput!) { retryJobs(input: $input) {
    dryRun matched retried failures { id reason } jobs { id status } job { id jobType } } }`
  const retry = (input: object, caller = owner) => change(RETRY, { input }, caller)

  test('runs what failed or expired, and what was cancelled only if the filter says so; the rival’s stays', async () => {
    const failed = await makeEndedJobs(tier.sql, 2, { jobType: 'sync' })
    const expired = await makeEndedJobs(tier.sql, 1, { jobType: 'sync', status: 'expired' })
    const cancelled = await makeEndedJobs(tier.sql, 1, { jobType: 'sync', status: 'cancelled' })
    const done = await makeEndedJobs(tier.sql, 1, { jobType: 'sync', status: 'completed' })
    const theirs = await makeEndedJobs(tier.sql, 2, { jobType: 'sync', tenantId: rival })
    const filter = { jobType: 'sync' }
    expect(await retry({ filter, dryRun: true })).toMatchObject({ dryRun: true, matched: 3, retried: 0, job: null })
    expect(await countStatuses(tier.sql, [...failed, ...expired])).toEqual({ failed: 2, expired: 1 })
    const answer = await retry({ filter })
    expect(answer).toMatchObject({ matched: 3, retried: 3, failures: [] })
    expect(answer.jobs).toEqual(Array(3).fill({ id: expect.any(String), status: 'QUEUED' }))
    expect(await countStatuses(tier.sql, [...cancelled, ...done, ...theirs])).toEqual({
      cancelled: 1,
      completed: 1,
      failed: 2,
    })
    expect(await retry({ filter })).toMatchObject({ matched: 0, retried: 0 })
    expect(await retry({ filter: { ...filter, status: ['CANCELLED'] } })).toMatchObject({ matched: 1, retried: 1 })
    const told = await until(async () => {
      const all = await findAudits(tier.sql, demo, 'jobs.retried')
      return all.length === 2 && all
    })
    expect(told).toContainEqual(
      expect.objectContaining({ adminUserId: owner.userId, newValues: expect.objectContaining({ jobs: cancelled }) }),
    )
    expect(await retry({ filter: { ...filter, tenantId: rival } }, OPERATOR)).toMatchObject({ matched: 2, retried: 2 })
    expect(await audited(rival, 'jobs.retried')).toMatchObject({ adminUserId: OPERATOR.userId })
  })

  test('takes them by payload, priority band and time of the last change', async () => {
    const jobs = await makeEndedJobs(tier.sql, 5, { jobType: 'narrow', priority: 20 })
    await makeEndedJobs(tier.sql, 5, { jobType: 'narrow', priority: 100 })
    const filter = { jobType: 'narrow', priorityBand: 'HIGH', payload: { place: 3 } }
    const never = { from: '2020-01-01T00:00:00Z', to: '2020-01-02T00:00:00Z' }
    expect(await retry({ filter: { ...filter, updated: never } })).toMatchObject({ matched: 0 })
    expect(await retry({ filter })).toMatchObject({ matched: 1, retried: 1, jobs: [{ status: 'QUEUED' }] })
    expect(await countStatuses(tier.sql, jobs)).toEqual({ failed: 4, queued: 1 })
  })

  test('of all tenants is an operator’s job, which leaves alone what fails again meanwhile', async () => {
    const jobs = [
      ...(await makeEndedJobs(tier.sql, 700, { jobType: 'mass' })),
      ...(await makeEndedJobs(tier.sql, 600, { jobType: 'mass', tenantId: rival, status: 'expired' })),
    ]
    const answer = await retry({ filter: { jobType: 'mass' } }, OPERATOR)
    expect(answer).toMatchObject({ matched: 1_300, retried: 0, job: { jobType: 'retryJobs' } })
    await tier.sql.query(`UPDATE jobs SET updated_at = now() + interval '1 minute' WHERE id = $1`, [jobs[0]])
    const runner = startOperator(tier)
    const result = await until(async () => {
      const { data } = await tier.ask(`{ job(id: "${answer.job.id}") { status result } }`, {}, OPERATOR)
      return data.job.status === 'COMPLETED' && data.job.result
    })
    await runner.stop(1_000)
    expect(result).toMatchObject({ matched: 1_299, done: 1_299, failed: 0 })
    expect(await countStatuses(tier.sql, jobs)).toEqual({ queued: 1_299, failed: 1 })
  }, 60_000)

  test('is refused for what cannot be retried, and to those who may not', async () => {
    const jobs = await makeEndedJobs(tier.sql, 1, { jobType: 'kept' })
    const filter = { jobType: 'kept' }
    expect(await retry({ filter: { ...filter, status: ['FAILED', 'COMPLETED'] } })).toBe('INVALID_INPUT')
    expect(await retry({ filter: { ...filter, status: [] } })).toBe('INVALID_INPUT')
    expect(await retry({ filter: { ...filter, tenantId: rival } })).toBe('FORBIDDEN')
    expect(await retry({ filter }, userOf(demo, 'employee'))).toBe('FORBIDDEN')
    expect(await retry({ filter: { ...filter, payload: { place: 1 } } }, userOf(demo, 'manager'))).toBe('FORBIDDEN')
    expect(await retry({ filter }, SUPPORT)).toBe('FORBIDDEN')
    expect(await retry({ filter }, OLTP)).toBe('FORBIDDEN')
    expect(await retry({ filter }, stranger)).toMatchObject({ matched: 0 })
    expect(await countStatuses(tier.sql, jobs)).toEqual({ failed: 1 })
  })
})

describe('moving a job in its queue', () => {
  const MOVE = `mutation ($id: ID!, $priority: Int!) {
    reprioritizeJob(input: { id: $id, priority: $priority }) { job { id priority } } }`
  const claim = async () => {
    const workerId = await makeWorker(tier.sql)
    return (await claimJobs(tier.sql, { workerId, queueName: 'billing-sync', limit: 1, leaseMs: 60_000 }))?.jobs[0]?.id
  }

  test('makes it the next to run', async () => {
    const [first, second] = await enqueue(tier.sql, ...[1, 2].map(() => request({ queueName: 'billing-sync' })))
    expect(await change(MOVE, { id: second, priority: 7 })).toEqual({ job: { id: second, priority: 7 } })
    expect(await claim()).toBe(second)
    expect(await audited(demo, 'job.reprioritized')).toMatchObject({
      ...{ resourceId: second, oldValues: { priority: 100 }, newValues: { priority: 7 } },
    })
    expect(await change(MOVE, { id: second, priority: 8 })).toBe('CONFLICT')
    expect(await claim()).toBe(first)
  })

  test('is refused for a priority there is not, a job that has ended, and a stranger', async () => {
    const [id] = await enqueue(tier.sql, request({ queueName: 'content-archival' }))
    const [ended] = await makeEndedJobs(tier.sql, 1, { jobType: 'over' })
    for (const priority of [0, -1, 32_768]) expect(await change(MOVE, { id, priority })).toBe('INVALID_INPUT')
    expect(await change(MOVE, { id: ended, priority: 5 })).toBe('CONFLICT')
    expect(await change(MOVE, { id: randomUUID(), priority: 5 })).toBe('NOT_FOUND')
    expect(await change(MOVE, { id, priority: 5 }, stranger)).toBe('NOT_FOUND')
    expect(await change(MOVE, { id, priority: 5 }, userOf(demo, 'viewer'))).toBe('FORBIDDEN')
    const { rows } = await tier.sql.query('SELECT priority FROM jobs WHERE id = $1', [id])
    expect(rows).toEqual([{ priority: 100 }])
    expect(await change(MOVE, { id, priority: 5 }, OPERATOR)).toMatchObject({ job: { priority: 5 } })
  })
})

describe('a queue', () => {
  const PAUSE = 'mutation ($name: String!) { pauseQueue(input: { name: $name }) { queue { name isActive } } }'
  const RESUME = 'mutation ($name: String!) { resumeQueue(input: { name: $name }) { queue { name isActive } } }'
  const UPDATE = `mutation ($input: UpdateQueueInput!) { updateQueue(input: $input) { queue {
    maxConcurrentJobs maxConcurrentPerTenant rateLimitPerMinute backoffMultiplier keepCompletedHours retryAttempts } } }`
  const update = (input: object, caller = OPERATOR) =>
    change(UPDATE, { input: { name: 'email-sending', ...input } }, caller)
  const settings = async () => (await tier.sql.query('SELECT * FROM job_queues ORDER BY name')).rows

  test('that is paused accepts jobs and runs none until it is resumed', async () => {
    const name = 'email-sending'
    const claim = async () =>
      claimJobs(tier.sql, { workerId: await makeWorker(tier.sql), queueName: name, limit: 1, leaseMs: 60_000 })
    expect(await change(PAUSE, { name }, OPERATOR)).toEqual({ queue: { name, isActive: false } })
    expect(await change(PAUSE, { name }, OPERATOR)).toEqual({ queue: { name, isActive: false } })
    const [id] = await enqueue(tier.sql, request({ queueName: name }))
    expect(await claim()).toBeNull()
    expect(await change(RESUME, { name }, OPERATOR)).toEqual({ queue: { name, isActive: true } })
    expect((await claim())?.jobs.map((job) => job.id)).toEqual([id])
    expect(await audited(PLATFORM_TENANT, 'queue.paused')).toMatchObject({
      ...{ adminUserId: OPERATOR.userId, resourceType: 'JobQueue', resourceId: name },
      ...{ oldValues: { isActive: true }, newValues: { isActive: false } },
    })
    expect(await audited(PLATFORM_TENANT, 'queue.resumed')).toBeDefined()
    expect(await findAudits(tier.sql, PLATFORM_TENANT, 'queue.paused')).toHaveLength(1)
  })

  test('has its limits changed, and those taken away that need not be there; the audit log has old and new', async () => {
    const given = { maxConcurrentJobs: 40, maxConcurrentPerTenant: 4, rateLimitPerMinute: 600, backoffMultiplier: 1.5 }
    expect(await update(given)).toMatchObject({ queue: { ...given, retryAttempts: 3, keepCompletedHours: 168 } })
    expect(await audited(PLATFORM_TENANT, 'queue.updated')).toMatchObject({
      ...{ oldValues: { maxConcurrentJobs: 500, maxConcurrentPerTenant: null }, newValues: given },
    })
    const back = { rateLimitPerMinute: null, maxConcurrentPerTenant: null, maxConcurrentJobs: 10, backoffMultiplier: 2 }
    expect(await update(back)).toMatchObject({ queue: back })
  })

  test('is not changed by a limit that cannot be, nor by those who may not', async () => {
    const before = await settings()
    const bad = [
      ...[{ maxConcurrentJobs: 0 }, { maxConcurrentJobs: null }, { maxConcurrentPerTenant: 0 }, { timeoutSeconds: 0 }],
      ...[{ retryAttempts: 101 }, { backoffBaseMs: -1 }, { backoffMultiplier: 0.5 }, { rateLimitPerMinute: 0 }, {}],
      { retryAttempts: 5, defaultPriority: 0 },
    ]
    for (const input of bad) expect(await update(input)).toBe('INVALID_INPUT')
    for (const caller of [owner, SUPPORT, OLTP]) {
      expect(await update({ retryAttempts: 5 }, caller)).toBe('FORBIDDEN')
      expect(await change(PAUSE, { name: 'email-sending' }, caller)).toBe('FORBIDDEN')
      expect(await change(RESUME, { name: 'email-sending' }, caller)).toBe('FORBIDDEN')
    }
    expect(await change(PAUSE, { name: 'nowhere' }, OPERATOR)).toBe('NOT_FOUND')
    expect(await update({ name: 'nowhere', retryAttempts: 5 })).toBe('NOT_FOUND')
    expect(await settings()).toEqual(before)
  })
})
