import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import type pg from 'pg'
import { failJobs, postponeJobs } from '../../../subgraphs/queue/engine/acknowledge.ts'
import type { ClaimedJob } from '../../../subgraphs/queue/engine/job.ts'
import { reapLeases } from '../../../subgraphs/queue/engine/lease.ts'
import { expireJobs, keepHouse } from '../../../subgraphs/queue/engine/maintenance.ts'
import { ProgressBoard } from '../../../subgraphs/queue/engine/progress.ts'
import { type ClaimDesk, failure, jobsOf, openClaimDesk, QUEUE, tenantsInOrder } from './claimDesk.ts'
import { enqueue, readJobs, request, until } from './queueDatabase.ts'
import { startRunner, task } from './runner.ts'

let desk: ClaimDesk
beforeAll(async () => {
  desk = await openClaimDesk()
})
afterEach(() => desk.clear())
afterAll(() => desk.close())

/** Runs `work` while a transaction of another connection has run `statement` and waits; then lets it commit. */
async function during<Result>(pool: pg.Pool, statement: string, work: () => Promise<Result>): Promise<Result> {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    await client.query(statement)
    const result = await work()
    await client.query('COMMIT')
    return result
  } finally {
    client.release()
  }
}

describe('a claim', () => {
  test('does not take what expires before it is through, or expiry leaves alone what it took', async () => {
    const [id] = (await enqueue(desk.sql, request({ expiresAt: new Date(Date.now() + 60_000) }))) as [string]
    const client = await desk.sql.connect()
    await client.query('BEGIN')
    const lease = '01930000-0000-7000-8000-000000000001'
    const claim = `SELECT id FROM claim_jobs('${QUEUE}', '${desk.workerId}', '${lease}', 1, 60000, '${lease}', false, 0)`
    expect((await client.query(claim)).rows).toEqual([{ id }])
    await desk.sql.query('UPDATE jobs SET expires_at = clock_timestamp()')
    const expiring = expireJobs(desk.sql)
    await sleep(100)
    await client.query('COMMIT')
    client.release()
    expect(await expiring).toBe(0)
    expect(await readJobs(desk.sql, [id])).toMatchObject([{ status: 'processing' }])
  })

  test('that a job was written to in between fails or answers all it took, each at its place', async () => {
    const [tenant] = tenantsInOrder(1) as [string]
    await desk.fill({ tenantId: tenant, jobs: 3 })
    const { claiming } = await during(desk.owner, 'LOCK TABLE worker_leases IN SHARE MODE', async () => {
      const claim = desk.claim(3).catch(() => null)
      await sleep(200)
      await desk.sql.query('UPDATE jobs SET progress_percentage = 1 WHERE seq = (SELECT min(seq) FROM jobs)')
      return { claiming: claim }
    })
    const claimed = jobsOf(await claiming)
    const { rows } = await desk.sql.query<{ job_ids: string[] }>('SELECT job_ids FROM worker_leases')
    expect(claimed.map(({ id, position }) => [position, id])).toEqual(
      (rows[0]?.job_ids ?? []).map((id, index) => [index + 1, id]),
    )
  })
})

describe('the clean-up', () => {
  test('leaves a job that a person runs again at that very moment', async () => {
    const [id] = (await enqueue(desk.sql, request())) as [string]
    await desk.sql.query(`UPDATE jobs SET status = 'cancelled', updated_at = now() - interval '30 days',
      created_at = now() - interval '30 days'`)
    const { cleaning } = await during(desk.sql, `UPDATE jobs SET status = 'queued', is_due = true`, async () => {
      const house = keepHouse(desk.sql)
      await sleep(300)
      return { cleaning: house }
    })
    await cleaning
    expect(await readJobs(desk.sql, [id])).toMatchObject([{ status: 'queued' }])
  })

  test('marks all that expired, however many, before they stand in the way of claims', async () => {
    const [tenant] = tenantsInOrder(1) as [string]
    await desk.fill({ tenantId: tenant, jobs: 5_000 })
    await desk.sql.query(`UPDATE jobs SET expires_at = now() - interval '1 second'`)
    expect(await expireJobs(desk.sql)).toBe(5_000)
  })
})

describe('a job that a person wants stopped', () => {
  const claimAndAskToStop = async () => {
    const [id] = (await enqueue(desk.sql, request())) as [string]
    const [job] = jobsOf(await desk.claim(1)) as [ClaimedJob]
    await desk.sql.query('UPDATE jobs SET cancel_requested_at = now()')
    return { id, job }
  }

  test('is cancelled, not tried again, when its attempt fails first', async () => {
    const { id, job } = await claimAndAskToStop()
    await failJobs(desk.sql, [failure(job, { retryAfterMs: 0 })])
    expect(await readJobs(desk.sql, [id])).toMatchObject([{ status: 'cancelled', attempt_count: 1 }])
    expect(await desk.claim(1)).toBeNull()
  })

  test('is cancelled, not given back, when its worker stops first', async () => {
    const { id, job } = await claimAndAskToStop()
    await postponeJobs(desk.sql, [{ ...job, delayMs: 0 }])
    expect(await readJobs(desk.sql, [id])).toMatchObject([{ status: 'cancelled' }])
    expect(await desk.claim(1)).toBeNull()
  })
})

describe('a worker', () => {
  test('writes progress without waiting for whoever writes an outcome', async () => {
    const [tenant] = tenantsInOrder(1) as [string]
    await desk.fill({ tenantId: tenant, jobs: 2 })
    const [first, second] = jobsOf(await desk.claim(2)) as [ClaimedJob, ClaimedJob]
    const board = new ProgressBoard()
    board.report(first, 10)
    board.report(second, 20)
    await during(desk.sql, `SELECT FROM jobs WHERE id = '${first.id}' FOR UPDATE`, () => board.write(desk.sql))
    const { rows } = await desk.sql.query('SELECT progress_percentage AS at FROM jobs ORDER BY seq')
    expect(rows).toEqual([{ at: null }, { at: 20 }])
  })

  test('that lost its lease and claimed the same job again has as much room as before', async () => {
    let isStuck = true
    const ran: string[] = []
    const stuck = task(
      async ([item]) => {
        ran.push(item?.job.id ?? '')
        return isStuck ? new Promise(() => {}) : undefined
      },
      { concurrency: 2 },
    )
    const runner = startRunner(desk.queue, [stuck], { leaseMs: 3_000, pollMs: 10 })
    const [id] = (await enqueue(desk.sql, request({ maxAttempts: 100 }))) as [string]
    for (let losses = 0; losses < 8; losses += 1) {
      const held = await until(async () => (await readJobs(desk.sql, [id]))[0]?.lease_id)
      // Slowly enough that the worker does not take to keeping more at hand.
      await sleep(60)
      // Before the last loss: the next attempt may begin as soon as it is lost.
      isStuck = losses < 7
      await desk.sql.query(`UPDATE worker_leases SET expires_at = now() - interval '1 second' WHERE id = $1`, [held])
      await reapLeases(desk.sql)
    }
    const others = await enqueue(desk.sql, ...Array.from({ length: 5 }, () => request()))
    await until(async () => (await readJobs(desk.sql, [id, ...others])).every(({ status }) => status === 'completed'))
    await runner.stop(100)
    expect(ran).toEqual(expect.arrayContaining(others))
  })

  test('starts nothing of a claim that was under way when it was told to stop, and gives it back uncounted', async () => {
    let isClaiming = false
    const pool = new Proxy(desk.sql, {
      get(target, name) {
        if (name !== 'query') return Reflect.get(target, name).bind?.(target) ?? Reflect.get(target, name)
        return async (statement: string | pg.QueryConfig, values?: unknown[]) => {
          const result = await target.query(statement as string, values)
          if (typeof statement === 'object' && statement.name === 'claim_jobs' && result.rows.length > 0) {
            isClaiming = true
            await sleep(300)
          }
          return result
        }
      },
    })
    const ids = await enqueue(desk.sql, request(), request())
    const ran: string[] = []
    const runner = startRunner(desk.queue, [task(async ([item]) => void ran.push(item?.job.id ?? ''))], { pool })
    await until(() => isClaiming)
    await runner.stop(1_000)
    expect(ran).toEqual([])
    expect(await readJobs(desk.sql, ids)).toMatchObject(Array(2).fill({ status: 'queued', attempt_count: 0 }))
    expect(jobsOf(await desk.claim(5))).toHaveLength(2)
  })
})
