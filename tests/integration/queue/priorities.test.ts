import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { claimJobs } from '../../../subgraphs/queue/engine/claim.ts'
import { startOperator } from './endedJobs.ts'
import { demo, enqueue, makeWorker, request, rival, until } from './queueDatabase.ts'
import { findAudits, OLTP, OPERATOR, type QueueTier, SUPPORT, startQueueTier, userOf } from './queueTier.ts'

const QUEUE = 'content-archival'

let tier: QueueTier
const owner = userOf(demo, 'owner')
const stranger = userOf(rival, 'owner')
beforeAll(async () => {
  tier = await startQueueTier()
})
afterEach(() => tier.sql.query('DELETE FROM worker_leases; DELETE FROM jobs; DELETE FROM unique_job_keys'))
afterAll(() => tier.stop())

const MOVE = `mutation ($input: ReprioritizeJobsInput!) { reprioritizeJobs(input: $input) {
  dryRun matched reprioritized failures { id reason } jobs { id priority } job { id jobType } } }`
/** What the mutation answers, or the code of its error. */
// biome-ignore lint/suspicious/noExplicitAny: an answer is whatever was asked for
const move = async (input: object, caller = owner): Promise<any> => {
  const { data, errors } = await tier.ask(MOVE, { input }, caller)
  return errors ? errors[0]?.extensions.code : data.reprioritizeJobs
}
const fill = (count: number, changes: object = {}) =>
  enqueue(tier.sql, ...Array.from({ length: count }, () => request({ queueName: QUEUE, jobType: 'move', ...changes })))
const prioritiesOf = async (ids: string[]) => {
  const { rows } = await tier.sql.query('SELECT id, priority FROM jobs WHERE id = ANY($1)', [ids])
  return ids.map((id) => rows.find((row) => row.id === id)?.priority)
}
const claim = async (limit: number) => {
  const workerId = await makeWorker(tier.sql)
  return (await claimJobs(tier.sql, { workerId, queueName: QUEUE, limit, leaseMs: 60_000 }))?.jobs ?? []
}

test('waiting jobs that fit move, due or delayed, and run in their new order; the rival’s and others stay', async () => {
  const first = await fill(2)
  const wanted = await fill(3, { correlationId: 'c1' })
  const delayed = await fill(1, { correlationId: 'c1', delayMs: 60_000 })
  const theirs = await fill(2, { correlationId: 'c1', tenantId: rival })
  const filter = { correlationId: 'c1' }
  expect(await move({ filter, priority: 5, dryRun: true })).toMatchObject({
    dryRun: true,
    matched: 4,
    reprioritized: 0,
  })
  expect(await prioritiesOf(wanted)).toEqual([100, 100, 100])
  const answer = await move({ filter, priority: 5 })
  expect(answer).toMatchObject({ matched: 4, reprioritized: 4, failures: [], job: null })
  expect(answer.jobs).toHaveLength(4)
  expect(await prioritiesOf([...wanted, ...delayed])).toEqual([5, 5, 5, 5])
  expect(await prioritiesOf([...first, ...theirs])).toEqual([100, 100, 100, 100])
  const audits = await until(async () => {
    const all = await findAudits(tier.sql, demo, 'jobs.reprioritized')
    return all.length > 0 && all
  })
  expect(audits).toMatchObject([{ adminUserId: owner.userId, newValues: { priority: 5, jobs: expect.any(Array) } }])
  expect(await findAudits(tier.sql, rival, 'jobs.reprioritized')).toEqual([])
  // Where they are nothing is left to move.
  expect(await move({ filter, priority: 5 })).toMatchObject({ matched: 0, reprioritized: 0 })
  const mine = (await claim(10)).filter(({ tenantId }) => tenantId === demo).map(({ id }) => id)
  expect(mine).toEqual([...wanted, ...first])
})

test('what is in work stays as it is, and the answer says why', async () => {
  const ids = await fill(3)
  const held = (await claim(2)).map(({ id }) => id)
  const answer = await move({ filter: { jobType: 'move', status: ['QUEUED'] }, priority: 200 })
  expect(answer).toMatchObject({ matched: 3, reprioritized: 1 })
  expect(answer.failures.toSorted((a: { id: string }, b: { id: string }) => a.id.localeCompare(b.id))).toEqual(
    held.toSorted().map((id) => ({ id, reason: 'the job is in work' })),
  )
  expect(await prioritiesOf(ids)).toEqual(ids.map((id) => (held.includes(id) ? 100 : 200)))
})

test('more than a thousand are a job’s work, each moved once, whichever way they go; operators reach every tenant', async () => {
  for (const [index, priority] of [100, 150, 60].entries()) {
    await fill(500, { priority, tenantId: index === 1 ? rival : demo })
  }
  const operator = startOperator(tier)
  try {
    for (const target of [120, 30]) {
      const { job, matched } = await move({ filter: { jobType: 'move' }, priority: target }, OPERATOR)
      expect({ matched, jobType: job.jobType }).toEqual({ matched: 1_500, jobType: 'reprioritizeJobs' })
      const result = await until(async () => {
        const { rows } = await tier.sql.query('SELECT status, result FROM jobs WHERE id = $1', [job.id])
        return rows[0].status === 'completed' && rows[0].result
      })
      expect(result).toMatchObject({ matched: 1_500, done: 1_500, failed: 0 })
      const { rows } = await tier.sql.query(
        `SELECT priority, count(*)::int AS jobs FROM jobs WHERE job_type = 'move' GROUP BY priority`,
      )
      expect(rows).toEqual([{ priority: target, jobs: 1_500 }])
    }
  } finally {
    await operator.stop(1_000)
  }
})

test('refuses priorities there are not, statuses in which nothing waits, and whoever may not', async () => {
  const ids = await fill(2)
  const filter = { jobType: 'move' }
  for (const priority of [0, -1, 32_768]) expect(await move({ filter, priority })).toBe('INVALID_INPUT')
  for (const status of [['COMPLETED'], ['QUEUED', 'FAILED'], []]) {
    expect(await move({ filter: { ...filter, status }, priority: 5 })).toBe('INVALID_INPUT')
  }
  expect(await move({ filter: { ...filter, tenantId: demo }, priority: 5 }, stranger)).toBe('FORBIDDEN')
  for (const caller of [userOf(demo, 'viewer'), SUPPORT, OLTP]) {
    expect(await move({ filter, priority: 5 }, caller)).toBe('FORBIDDEN')
  }
  expect(await move({ filter, priority: 5 }, stranger)).toMatchObject({ matched: 0 })
  expect(await move({ filter: { campaignId: randomUUID() }, priority: 5 })).toMatchObject({ matched: 0 })
  expect(await prioritiesOf(ids)).toEqual([100, 100])
})
