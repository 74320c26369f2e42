import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import type { ClaimedJob } from '../../../subgraphs/queue/engine/job.ts'
import { reapLeases } from '../../../subgraphs/queue/engine/lease.ts'
import { ProgressBoard } from '../../../subgraphs/queue/engine/progress.ts'
import { type ClaimDesk, jobsOf, openClaimDesk } from './claimDesk.ts'
import { enqueue, readJobs, request, rival, until } from './queueDatabase.ts'
import { startRunner, task } from './runner.ts'

let desk: ClaimDesk
beforeAll(async () => {
  desk = await openClaimDesk()
})
afterEach(() => desk.clear())
afterAll(() => desk.close())

const statuses = async (ids: string[]) => (await readJobs(desk.sql, ids)).map(({ status }) => status)
const progressOf = async (id: string) => {
  const { rows } = await desk.sql.query(
    'SELECT status, progress_percentage AS percentage, progress_message AS message FROM jobs WHERE id = $1',
    [id],
  )
  return rows[0]
}

describe('stopping one job', () => {
  test('that listens, one that does not, and one that has not begun: all end within seconds, the others go on', async () => {
    const ran: string[] = []
    let reason: unknown
    const obey = task(
      async ([item], { signal }) => {
        const { text } = item?.payload ?? {}
        ran.push(String(text))
        if (text === 'listens') {
          await once(signal, 'abort')
          reason = signal.reason
          throw new Error('aborted')
        }
        if (text === 'is deaf') return new Promise(() => {})
        return undefined
      },
      { concurrency: 2 },
    )
    const texts = ['listens', 'is deaf', 'waits', 'goes on']
    const ids = await enqueue(desk.sql, ...texts.map((text) => request({ payload: { text } })))
    const runner = startRunner(desk.queue, [obey])
    await until(async () => ran.length === 2 && (await statuses(ids)).every((status) => status === 'processing'))
    await desk.sql.query('UPDATE jobs SET cancel_requested_at = now() WHERE id = ANY($1)', [ids.slice(0, 3)])
    await until(async () => (await statuses(ids)).join() === 'cancelled,cancelled,cancelled,completed')
    await runner.stop(1_000)
    expect(ran).toEqual(['listens', 'is deaf', 'goes on'])
    expect(String(reason)).toContain('stopped by a person')
    const { rows } = await desk.sql.query(
      `SELECT count(*)::int AS lines FROM job_logs WHERE message = 'stopped by a person'`,
    )
    expect(rows).toEqual([{ lines: 3 }])
    expect((await desk.sql.query('SELECT 1 FROM dead_letter_jobs')).rowCount).toBe(0)
  })
})

describe('progress', () => {
  test('shows the latest report, within 0 and 100, written now and then and not at each call', async () => {
    let writes = 0
    const pool = new Proxy(desk.sql, {
      get(target, name) {
        if (name !== 'query') return Reflect.get(target, name).bind?.(target) ?? Reflect.get(target, name)
        return (statement: string | { text: string }, values?: unknown[]) => {
          const text = typeof statement === 'string' ? statement : statement.text
          if (text.includes('SET progress_percentage') && text.includes('progress_message')) writes += 1
          return target.query(statement as string, values)
        }
      },
    })
    let isDone = false
    let at = 0
    const slow = task(async ([item], { report }) => {
      while (item && !isDone) {
        at += 1
        report(item.job, at % 2 ? -5 : 250.4, `step ${at}`)
        if (at >= 100) report(item.job, 41.6, 'nearly\0 there')
        await sleep(10)
      }
      if (item) report(item.job, 7, 'too late')
      return undefined
    })
    const [id] = (await enqueue(desk.sql, request())) as [string]
    const began = performance.now()
    const runner = startRunner(desk.queue, [slow], { pool })
    const first = await until(async () => (await progressOf(id)).message && (await progressOf(id)))
    expect([0, 100, 42]).toContain(first.percentage)
    await until(async () => (await progressOf(id)).percentage === 42)
    expect(await progressOf(id)).toMatchObject({ status: 'queued', message: 'nearly\u{fffd} there' })
    expect(at).toBeGreaterThan(90)
    expect(writes).toBeLessThanOrEqual(Math.ceil((performance.now() - began) / 1_000) + 1)
    isDone = true
    await until(async () => (await progressOf(id)).status === 'completed')
    await sleep(1_100)
    await runner.stop(1_000)
    expect(await progressOf(id)).toMatchObject({ status: 'completed', percentage: 100 })
  })

  test('that an attempt reports when its lease is lost is not shown of the next attempt, or of another tenant’s job', async () => {
    const [id, other] = (await enqueue(desk.sql, request(), request({ tenantId: rival }))) as [string, string]
    const claimed = jobsOf(await desk.claim(2))
    const [late, beside] = [id, other].map((one) => claimed.find((job) => job.id === one)) as [ClaimedJob, ClaimedJob]
    const board = new ProgressBoard()
    board.report(late, 10, 'mine')
    board.report({ ...late, id: other }, 20, 'not mine')
    await board.write(desk.sql)
    expect(await progressOf(id)).toMatchObject({ percentage: 10, message: 'mine' })
    expect(await progressOf(other)).toMatchObject({ percentage: null, message: null })

    await desk.sql.query(`UPDATE worker_leases SET expires_at = now() - interval '1 second'`)
    await reapLeases(desk.sql)
    board.report(late, 90, 'late, and nobody’s')
    await board.write(desk.sql)
    const current = jobsOf(await desk.claim(2)).find((job) => job.id === id) as ClaimedJob
    board.report(late, 99, 'late, and another’s')
    board.report(beside, 99, 'late, and another’s')
    await board.write(desk.sql)
    expect(await progressOf(id)).toMatchObject({ percentage: 10, message: 'mine' })
    expect(await progressOf(other)).toMatchObject({ percentage: null })
    board.report(current, 30, 'again')
    await board.write(desk.sql)
    expect(await progressOf(id)).toMatchObject({ percentage: 30, message: 'again' })
  })
})
