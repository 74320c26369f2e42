import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { completeJobs, failJobs } from '../../../subgraphs/queue/engine/acknowledge.ts'
import { enqueueJobs } from '../../../subgraphs/queue/engine/enqueue.ts'
import { inTransaction } from '../../../subgraphs/queue/engine/sql.ts'
import { type ClaimDesk, done, failure, idsOf, jobsOf, openClaimDesk } from './claimDesk.ts'
import { request, rival } from './queueDatabase.ts'

let desk: ClaimDesk
beforeAll(async () => {
  desk = await openClaimDesk()
})
afterEach(() => desk.clear())
afterAll(() => desk.close())

const unique = (changes: object = {}) => request({ uniqueKey: 'import', source: null, key: null, ...changes })
const ask = async (...requests: object[]) => (await enqueueJobs(desk.sql, requests)).results
const askOne = async (changes: object = {}) =>
  (await ask(unique(changes)))[0] as Awaited<ReturnType<typeof ask>>[number]
const waiting = async () => {
  const { rows } = await desk.sql.query('SELECT id, payload, priority FROM jobs ORDER BY seq')
  return rows
}
const runAll = async () => {
  const jobs = jobsOf(await desk.claim(100))
  await completeJobs(desk.sql, jobs.map(done))
  return jobs
}

describe('a second job with the key of one that waits', () => {
  test('keep: is a repeat of the first, whatever it holds', async () => {
    const first = await askOne()
    const second = await askOne({ payload: { text: 'other' }, uniquePolicy: 'keep' })
    expect(second).toEqual({ key: '', jobId: first.jobId, status: 'duplicate', error: null })
    expect(await waiting()).toMatchObject([{ payload: { text: 'hello' } }])
  })

  test('replace: gives the first its payload, priority and time', async () => {
    const first = await askOne({ delayMs: 60_000 })
    expect(await desk.claim(10)).toBeNull()
    const { results, readyQueues } = await enqueueJobs(desk.sql, [
      unique({ payload: { text: 'newer' }, priority: 7, uniquePolicy: 'replace' }),
    ])
    expect(results).toEqual([{ key: '', jobId: first.jobId, status: 'replaced', error: null }])
    expect(readyQueues).toEqual(['notification-delivery'])
    expect(await waiting()).toEqual([{ id: first.jobId, payload: { text: 'newer' }, priority: 7 }])
    expect(idsOf(await desk.claim(10))).toEqual([first.jobId])
  })

  test('reject: is refused and told which job holds the key', async () => {
    const first = await askOne()
    expect(await askOne({ uniquePolicy: 'reject' })).toEqual({
      key: '',
      jobId: null,
      status: 'rejected',
      error: `uniqueKey: is held by job ${first.jobId}`,
    })
  })

  test('another tenant, another queue and another key are none of its business', async () => {
    const answers = await ask(
      unique(),
      unique({ tenantId: rival }),
      unique({ queueName: 'billing-sync' }),
      unique({ uniqueKey: 'Import' }),
    )
    expect(answers.map(({ status }) => status)).toEqual(Array(4).fill('enqueued'))
    expect(new Set(answers.map(({ jobId }) => jobId)).size).toBe(4)
  })
})

describe('how long a key is held', () => {
  test('until its job has ended: in work and waiting for a retry it is held, done it is free', async () => {
    const first = await askOne()
    const [job] = jobsOf(await desk.claim(1))
    expect(await askOne()).toMatchObject({ status: 'duplicate', jobId: first.jobId })
    await failJobs(desk.sql, job ? [failure(job, { retryAfterMs: 5 })] : [])
    expect(await askOne()).toMatchObject({ status: 'duplicate', jobId: first.jobId })
    await sleep(20)
    expect((await runAll()).map(({ attempt }) => attempt)).toEqual([2])
    expect(await askOne()).toMatchObject({ status: 'enqueued' })
  })

  test('a dead letter holds no key', async () => {
    await askOne()
    const jobs = jobsOf(await desk.claim(1))
    await failJobs(
      desk.sql,
      jobs.map((job) => failure(job, { permanent: true })),
    )
    expect((await askOne({ uniquePolicy: 'reject' })).status).toBe('enqueued')
  })

  test('for a window: also when its job is long done, and not a moment longer', async () => {
    const uniqueForSeconds = 3
    const first = await askOne({ uniqueForSeconds })
    await runAll()
    expect(await askOne({ uniqueForSeconds })).toMatchObject({ status: 'duplicate', jobId: first.jobId })
    await sleep(uniqueForSeconds * 1_000 + 50)
    expect((await askOne({ uniqueForSeconds })).status).toBe('enqueued')
  })

  test('a job that expired while nobody ran it holds no key, also before it is marked so', async () => {
    const first = await askOne({ expiresAt: new Date(Date.now() + 30) })
    await sleep(50)
    const second = await askOne()
    expect(second.status).toBe('enqueued')
    expect(second.jobId).not.toBe(first.jobId)
    expect(idsOf(await desk.claim(10))).toEqual([second.jobId])
  })

  test('a job in work is not replaced: what came since is a job of its own', async () => {
    const first = await askOne()
    const jobs = jobsOf(await desk.claim(1))
    const second = await askOne({ payload: { text: 'newer' }, uniquePolicy: 'replace' })
    expect(second.status).toBe('enqueued')
    expect(second.jobId).not.toBe(first.jobId)
    expect((await askOne({ payload: { text: 'newest' }, uniquePolicy: 'replace' })).jobId).toBe(second.jobId)
    await completeJobs(desk.sql, jobs.map(done))
    expect((await waiting()).map(({ payload }) => payload.text)).toEqual(['hello', 'newest'])
  })
})

describe('twenty at once', () => {
  test.each([
    ['keep', { enqueued: 1, duplicate: 19 }],
    ['replace', { enqueued: 1, replaced: 19 }],
    ['reject', { enqueued: 1, rejected: 19 }],
  ])('%s: one job, and every answer says what became of it', async (uniquePolicy, expected) => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => askOne({ uniquePolicy })))
    const counts: Record<string, number> = {}
    for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1
    expect(counts).toEqual(expected)
    expect(await waiting()).toHaveLength(1)
  })

  test('while jobs are claimed and done, never two of one key waiting or in work', async () => {
    const seen: number[] = []
    let isOver = false
    const claim = async () => {
      // Once more when all have asked: what waits by then is seen, too.
      for (let isLast = false; !isLast; ) {
        isLast = isOver
        const jobs = jobsOf(await desk.claim(10))
        seen.push(jobs.length)
        await completeJobs(desk.sql, jobs.map(done))
      }
    }
    const enqueueing = async () => {
      for (let round = 0; round < 40; round += 1) await askOne({ uniquePolicy: 'keep' })
    }
    const asking = Promise.all([enqueueing(), enqueueing(), enqueueing()]).finally(() => {
      isOver = true
    })
    await Promise.all([claim(), asking])
    expect(Math.max(...seen)).toBe(1)
  })

  test.each(['keep', 'replace', 'reject'])(
    '%s: with one receipt they are one request, none fails',
    async (uniquePolicy) => {
      const asked = unique({ source: 'test', key: 'the same', uniquePolicy })
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(asked)))
      const jobIds = new Set(answers.flat().map(({ jobId }) => jobId))
      expect(answers.flat().filter(({ status }) => status === 'enqueued')).toHaveLength(1)
      expect(answers.flat().filter(({ status }) => status === 'duplicate')).toHaveLength(19)
      expect(jobIds.size).toBe(1)
      expect(await waiting()).toHaveLength(1)
    },
  )
})

describe('receipts and keys together', () => {
  test('a request that was answered is a repeat for ever, also when its key is free again', async () => {
    const asked = unique({ source: 'test', key: 'once' })
    const [first] = await ask(asked)
    await runAll()
    expect(await ask(asked)).toMatchObject([{ status: 'duplicate', jobId: first?.jobId }])
    expect(await askOne()).toMatchObject({ status: 'enqueued' })
  })

  test('a request that met a held key leaves a receipt for the job that held it', async () => {
    const first = await askOne()
    const late = unique({ source: 'test', key: 'late' })
    expect(await ask(late)).toMatchObject([{ status: 'duplicate', jobId: first.jobId }])
    await runAll()
    expect(await ask(late)).toMatchObject([{ status: 'duplicate', jobId: first.jobId }])
  })

  test('a rejected request leaves none: asked again when the key is free, it is enqueued', async () => {
    await askOne()
    const late = unique({ source: 'test', key: 'rejected', uniquePolicy: 'reject' })
    expect((await ask(late))[0]?.status).toBe('rejected')
    await runAll()
    expect((await ask(late))[0]?.status).toBe('enqueued')
  })

  test('what is rolled back leaves neither job nor key nor receipt', async () => {
    const asked = unique({ source: 'test', key: 'lost' })
    const lost = inTransaction(desk.sql, async (tx) => {
      expect((await enqueueJobs(tx, [asked])).results[0]?.status).toBe('enqueued')
      throw new Error('the producer died')
    })
    await expect(lost).rejects.toThrow('the producer died')
    const { rows } = await desk.sql.query(`SELECT (SELECT count(*) FROM unique_job_keys)::int AS keys,
      (SELECT count(*) FROM enqueue_receipts)::int AS receipts, (SELECT count(*) FROM jobs)::int AS jobs`)
    expect(rows).toEqual([{ keys: 0, receipts: 0, jobs: 0 }])
    expect((await ask(asked))[0]?.status).toBe('enqueued')
  })
})
