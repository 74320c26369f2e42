import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { completeJobs } from '../../../subgraphs/queue/engine/acknowledge.ts'
import { claimJobs } from '../../../subgraphs/queue/engine/claim.ts'
import { enqueueJobs } from '../../../subgraphs/queue/engine/enqueue.ts'
import { demo, enqueue, makeWorker, openQueueDatabase, type QueueDatabase, request, rival } from './queueDatabase.ts'

let queue: QueueDatabase
beforeAll(async () => {
  queue = await openQueueDatabase()
})
afterAll(() => queue.close())

describe('enqueueing', () => {
  test('takes priority and attempts from the queue unless the job names its own', async () => {
    const [plain, urgent] = await enqueue(queue.sql, request(), request({ priority: 5, maxAttempts: 1 }))
    const { rows } = await queue.sql.query('SELECT id, priority, max_attempts FROM jobs WHERE id = ANY($1)', [
      [plain, urgent],
    ])
    expect(rows.find(({ id }) => id === plain)).toMatchObject({ priority: 100, max_attempts: 5 })
    expect(rows.find(({ id }) => id === urgent)).toMatchObject({ priority: 5, max_attempts: 1 })
  })

  test('answers each item by itself: bad ones are rejected alone, with a reason', async () => {
    const bad = [
      { ...request(), key: 'no-queue', queueName: 'nowhere' },
      { ...request(), key: 'not-an-object', payload: ['list'] },
      { ...request(), key: 'nul', payload: { text: 'a\0b' } },
      { ...request(), key: 'half-pair', payload: { 'a\ud800': 1 } },
      { ...request(), key: 'huge', payload: { text: 'x'.repeat(2 ** 20) } },
      { ...request(), key: 'priority', priority: 0 },
      { ...request(), key: 'tenant', tenantId: 'nobody' },
      { ...request(), key: '' },
      null,
    ]
    const { results } = await enqueueJobs(queue.sql, [...bad, request({ key: 'good' })])
    expect(results.slice(0, -1).map(({ status }) => status)).toEqual(bad.map(() => 'rejected'))
    expect(results.every(({ status, error }) => status !== 'rejected' || (error ?? '').length > 0)).toBe(true)
    expect(results[0]?.error).toBe('there is no queue nowhere')
    expect(results.at(-1)).toMatchObject({ key: 'good', status: 'enqueued', error: null })
  })

  test('text about an escape is no escape', async () => {
    const { results } = await enqueueJobs(queue.sql, [
      request({ payload: { text: 'a \\u0000 in words, \\\\ud800 too' } }),
    ])
    expect(results[0]?.status).toBe('enqueued')
  })

  test('a repeated key is a duplicate with the same job, also after the job is done', async () => {
    const asked = request({ jobType: 'repeat', queueName: 'billing-sync' })
    const [jobId] = await enqueue(queue.sql, asked)
    const again = await enqueueJobs(queue.sql, [asked])
    expect(again.results).toEqual([{ key: asked.key, jobId, status: 'duplicate', error: null }])
    expect(again.readyQueues).toEqual([])

    const claim = await claimJobs(queue.sql, {
      workerId: await makeWorker(queue.sql),
      queueName: 'billing-sync',
      limit: 10,
      leaseMs: 10_000,
    })
    await completeJobs(
      queue.sql,
      (claim?.jobs ?? []).map((job) => ({ ...job, durationMs: 1 })),
    )
    const afterwards = await enqueueJobs(queue.sql, [asked])
    expect(afterwards.results[0]).toMatchObject({ jobId, status: 'duplicate' })
    const { rows } = await queue.sql.query(`SELECT status FROM jobs WHERE job_type = 'repeat'`)
    expect(rows).toEqual([{ status: 'completed' }])
  })

  test('the same key twice in one batch is one job', async () => {
    const asked = request({ jobType: 'twice' })
    const { results } = await enqueueJobs(queue.sql, [asked, asked])
    expect(results.map(({ status }) => status)).toEqual(['enqueued', 'duplicate'])
    expect(results[0]?.jobId).toBe(results[1]?.jobId)
  })

  test('the same key of another tenant or another source is another job', async () => {
    const asked = request({ jobType: 'shared' })
    const { results } = await enqueueJobs(queue.sql, [
      asked,
      { ...asked, tenantId: rival },
      { ...asked, source: 'other' },
    ])
    expect(results.map(({ status }) => status)).toEqual(['enqueued', 'enqueued', 'enqueued'])
  })

  test('relays that repeat the same batch at once make each job once and never deadlock', async () => {
    const batch = Array.from({ length: 200 }, () => request({ jobType: 'raced' }))
    const answers = await Promise.all(
      [batch, batch.toReversed(), batch, batch.toReversed()].map((jobs) => enqueueJobs(queue.sql, jobs)),
    )
    const enqueued = answers.flatMap(({ results }) => results).filter(({ status }) => status === 'enqueued')
    expect(enqueued).toHaveLength(200)
    expect(answers.flatMap(({ results }) => results).every(({ jobId }) => jobId !== null)).toBe(true)
    const { rows } = await queue.sql.query(`SELECT count(*)::int AS jobs FROM jobs WHERE job_type = 'raced'`)
    expect(rows).toEqual([{ jobs: 200 }])
  })

  test("a tenant sees its own jobs and receipts and none of the rival's", async () => {
    const [own, other] = await enqueue(queue.sql, request(), request({ tenantId: rival }))
    const seen = await runAsTenant(demo, () =>
      queue.db.tenant.job.findMany({ where: { id: { in: [own, other] as string[] } } }),
    )
    expect(seen.map(({ id }) => id)).toEqual([own])
    const receipts = await runAsTenant(rival, () =>
      queue.db.tenantSql.query('SELECT job_id FROM enqueue_receipts WHERE job_id = ANY($1)', [[own, other]]),
    )
    expect(receipts.rows).toEqual([{ job_id: other }])
  })
})
