import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { AppError } from '#platform/errors.ts'
import { claimJobs } from '../../../subgraphs/queue/engine/claim.ts'
import { PermanentFailure } from '../../../subgraphs/queue/engine/failure.ts'
import type { JobRunner } from '../../../subgraphs/queue/engine/jobRunner.ts'
import type { ItemOutcome } from '../../../subgraphs/queue/engine/task.ts'
import {
  demo,
  enqueue,
  openQueueDatabase,
  type QueueDatabase,
  readJobs,
  request,
  rival,
  until,
} from './queueDatabase.ts'
import { idsOf, type NoServices, startRunner, task } from './runner.ts'

let queue: QueueDatabase
const running: JobRunner<NoServices>[] = []
const start = (...[tasks, options]: Parameters<typeof startRunner> extends [unknown, ...infer Rest] ? Rest : never) => {
  const runner = startRunner(queue, tasks, options)
  running.push(runner)
  return runner
}
beforeAll(async () => {
  queue = await openQueueDatabase()
  await queue.sql.query('UPDATE job_queues SET backoff_base_ms = 50')
})
afterEach(async () => {
  await Promise.all(running.splice(0).map((runner) => runner.stop(0)))
  await queue.sql.query('DELETE FROM jobs; DELETE FROM dead_letter_jobs; UPDATE job_queues SET timeout_seconds = 120')
})
afterAll(() => queue.close())

const allIn = (ids: string[], status: string) =>
  until(async () => (await readJobs(queue.sql, ids)).every((job) => job.status === status))
const reasons = async () => {
  const { rows } = await queue.sql.query<{ failure_reason: string; final_attempt: number }>(
    'SELECT failure_reason, final_attempt FROM dead_letter_jobs ORDER BY created_at',
  )
  return rows
}

describe('running jobs', () => {
  test('two workers run every job, and none twice', async () => {
    const ran: string[] = []
    const note = task(async (items) => {
      await sleep(Math.random() * 4)
      ran.push(...idsOf(items))
      return undefined
    })
    const ids = await enqueue(queue.sql, ...Array.from({ length: 400 }, () => request()))
    start([note])
    start([note])
    await allIn(ids, 'completed')
    expect(ran.toSorted()).toEqual(ids.toSorted())
  })

  test('ends its leases and counts its work', async () => {
    const runner = start([task(async () => undefined)])
    const ids = await enqueue(queue.sql, request(), request())
    await allIn(ids, 'completed')
    await until(async () => (await queue.sql.query('SELECT 1 FROM worker_leases')).rowCount === 0)
    running.splice(0)
    await runner.stop(1_000)
    const { rows } = await queue.sql.query('SELECT stopped_at IS NOT NULL AS left FROM workers WHERE id = $1', [
      runner.worker.id,
    ])
    expect(rows).toEqual([{ left: true }])
  })

  test('a claim whose answer never came is not kept alive: its jobs run under another', async () => {
    const runner = start([task(async () => undefined)], { leaseMs: 600, pollMs: 600_000 })
    await until(async () => (await queue.sql.query('SELECT FROM workers WHERE id = $1', [runner.worker.id])).rowCount)
    const ids = await enqueue(queue.sql, request())
    // Committed, but the connection broke before the worker heard of it.
    await claimJobs(queue.sql, {
      workerId: runner.worker.id,
      queueName: 'notification-delivery',
      limit: 10,
      leaseMs: 600,
    })
    await allIn(ids, 'completed')
  })

  test('one call takes many jobs, of several tenants, each settled by itself', async () => {
    const calls: number[] = []
    const batch = task(
      async (items) => {
        calls.push(items.length)
        return items.map(({ payload }): ItemOutcome => {
          if (payload.text !== 'bad') return { kind: 'completed', result: { seen: payload.text } }
          return { kind: 'failed', error: new PermanentFailure('this one is bad') }
        })
      },
      { batch: { size: 50, lingerMs: 20 } },
    )
    const ids = await enqueue(
      queue.sql,
      ...Array.from({ length: 60 }, (_, i) =>
        request({ tenantId: i % 2 ? demo : rival, payload: { text: i === 7 ? 'bad' : 'good' } }),
      ),
    )
    start([batch])
    const [bad] = ids.splice(7, 1) as [string]
    await allIn(ids, 'completed')
    await allIn([bad], 'failed')
    expect(calls.length).toBeLessThanOrEqual(4)
    expect(await reasons()).toEqual([{ failure_reason: 'this one is bad', final_attempt: 1 }])
  })

  test('a job that spoils its batch is found: the others are tried again without it', async () => {
    const batch = task(
      async (items) => {
        if (items.some(({ payload }) => payload.text === 'poison')) throw new Error('the whole call failed')
        return undefined
      },
      { batch: { size: 50, lingerMs: 20 } },
    )
    const ids = await enqueue(
      queue.sql,
      ...Array.from({ length: 20 }, (_, i) =>
        request({ maxAttempts: 3, payload: { text: i === 3 ? 'poison' : 'fine' } }),
      ),
    )
    start([batch])
    const [poison] = ids.splice(3, 1) as [string]
    await allIn(ids, 'completed')
    await allIn([poison], 'failed')
    expect(await reasons()).toEqual([{ failure_reason: 'the whole call failed', final_attempt: 3 }])
  })

  test('a payload that does not parse, and a job no task runs, are dead letters at once', async () => {
    const ids = await enqueue(queue.sql, request({ payload: { text: 5 } }), request({ jobType: 'unheard-of' }))
    start([task(async () => undefined)])
    await allIn(ids, 'failed')
    expect((await reasons()).map(({ failure_reason }) => failure_reason).toSorted()).toEqual([
      'no task runs unheard-of jobs of the queue notification-delivery',
      expect.stringContaining('the payload does not parse: text:'),
    ])
  })

  test('a tier that is away costs time but no attempt', async () => {
    let isAway = true
    const [id] = (await enqueue(queue.sql, request({ maxAttempts: 1 }))) as [string]
    start([
      task(async () => {
        if (isAway) throw new AppError('UNAVAILABLE', 'the tier does not answer')
        return undefined
      }),
    ])
    await until(async () => (await readJobs(queue.sql, [id]))[0]?.last_error_message === 'the tier does not answer')
    isAway = false
    await allIn([id], 'completed')
    const { rows } = await queue.sql.query('SELECT attempt_count FROM jobs WHERE id = $1', [id])
    expect(rows).toEqual([{ attempt_count: 1 }])
  })

  test('a job that takes too long is stopped, its signal aborted', async () => {
    await queue.sql.query('UPDATE job_queues SET timeout_seconds = 1')
    let reason: unknown
    const ids = await enqueue(queue.sql, request({ maxAttempts: 1 }))
    start([
      task(async (_items, { signal }) => {
        signal.addEventListener('abort', () => {
          reason = signal.reason
        })
        return new Promise(() => {})
      }),
    ])
    await allIn(ids, 'failed')
    expect(String(reason)).toBe('Error: took longer than 1 s')
    expect(await reasons()).toEqual([{ failure_reason: 'took longer than 1 s', final_attempt: 1 }])
  })

  test('a result the database cannot hold spoils nobody else’s outcome', async () => {
    const ids = await enqueue(
      queue.sql,
      ...Array.from({ length: 5 }, (_, i) => request({ maxAttempts: 1, payload: { text: `${i}` } })),
    )
    start([task(async ([item]) => [{ kind: 'completed', result: item?.payload.text === '2' ? 'a\0b' : 'fine' }])])
    const [spoiled] = ids.splice(2, 1) as [string]
    await allIn(ids, 'completed')
    await until(async () => (await readJobs(queue.sql, [spoiled]))[0]?.status === 'failed')
  })
})

describe('a database that goes away while an outcome it cannot hold is set aside', () => {
  test('ends neither the worker nor the writing of outcomes', async () => {
    let failures = 0
    const pool = new Proxy(queue.sql, {
      get(target, name) {
        if (name !== 'query') return Reflect.get(target, name).bind?.(target) ?? Reflect.get(target, name)
        return (statement: string | { text: string }, values?: unknown[]) => {
          const text = typeof statement === 'string' ? statement : statement.text
          if (!text.includes('failure AS') || failures++ > 0) return target.query(statement as string, values)
          return Promise.reject(Object.assign(new Error('gone'), { code: 'ECONNRESET' }))
        }
      },
    })
    const answer = task(async ([item]) => [
      { kind: 'completed', result: item?.payload.text === 'bad' ? { text: '\0' } : {} },
    ])
    const [bad] = await enqueue(queue.sql, request({ payload: { text: 'bad' } }))
    start([answer], { pool })
    await until(() => failures > 0)
    const good = await enqueue(queue.sql, request())
    await allIn(good, 'completed')
    const lastError = async () => (await readJobs(queue.sql, [bad as string]))[0]?.last_error_message
    await until(async () => (await lastError()) === 'the outcome of the attempt cannot be stored')
    await queue.sql.query('DELETE FROM jobs WHERE id = $1', [bad])
  })
})

describe('stopping', () => {
  test('lets running jobs finish, starts none, and gives back what had not begun', async () => {
    const began: string[] = []
    const slow = task(
      async (items) => {
        began.push(...idsOf(items))
        await sleep(300)
        return undefined
      },
      { concurrency: 2 },
    )
    const ids = await enqueue(queue.sql, ...Array.from({ length: 4 }, () => request()))
    const runner = start([slow])
    await until(() => began.length === 2)
    running.splice(0)
    await runner.stop(5_000)
    const jobs = await readJobs(queue.sql, ids)
    expect(
      jobs
        .filter(({ status }) => status === 'completed')
        .map(({ id }) => id)
        .toSorted(),
    ).toEqual(began.toSorted())
    expect(jobs.filter(({ status }) => status === 'queued').map(({ attempt_count }) => attempt_count)).toEqual([0, 0])
    expect(began).toHaveLength(2)
  })

  test('aborts what does not finish in time and gives it back uncounted', async () => {
    let hasBegun = false
    let wasAborted = false
    const [id] = (await enqueue(queue.sql, request())) as [string]
    const runner = start([
      task(async (_items, { signal }) => {
        hasBegun = true
        await once(signal, 'abort')
        wasAborted = true
        throw new Error('aborted')
      }),
    ])
    await until(() => hasBegun)
    running.splice(0)
    await runner.stop(100)
    expect(wasAborted).toBe(true)
    expect(await readJobs(queue.sql, [id])).toMatchObject([{ status: 'queued', attempt_count: 0 }])
  })
})

describe('a worker process killed in the middle of a job', () => {
  test('its job runs again elsewhere once its lease is over', async () => {
    const [id] = (await enqueue(queue.sql, request())) as [string]
    const program = path.join(import.meta.dirname, 'programs/hangingWorker.ts')
    const leaseMs = 3_000
    const child = spawn(process.execPath, ['--import', 'tsx', program, queue.url, queue.systemUrl, String(leaseMs)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_OPTIONS: '' },
    })
    const [line] = await once(child.stdout, 'data')
    expect(String(line).trim()).toBe(id)
    child.kill('SIGKILL')
    await once(child, 'exit')

    const ran: { id: string; attempt: number }[] = []
    start(
      [
        task(async ([item]) => {
          if (item) ran.push({ id: item.job.id, attempt: item.job.attempt })
          return undefined
        }),
      ],
      { leaseMs },
    )
    await allIn([id], 'completed')
    expect(ran).toEqual([{ id, attempt: 2 }])
  })
})
