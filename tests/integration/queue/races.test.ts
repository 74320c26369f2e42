import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import type pg from 'pg'
import { reapLeases } from '../../../subgraphs/queue/engine/lease.ts'
import { keepHouse } from '../../../subgraphs/queue/engine/maintenance.ts'
import { type ClaimDesk, jobsOf, openClaimDesk, tenantsInOrder } from './claimDesk.ts'
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
})

describe('a worker', () => {
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
      const held = await until(async () => (await readJobs(desk.sql, [id]))[0]?.lease_id, 2_000)
      // Slowly enough that the worker does not take to keeping more at hand.
      await sleep(60)
      await desk.sql.query(`UPDATE worker_leases SET expires_at = now() - interval '1 second' WHERE id = $1`, [held])
      await reapLeases(desk.sql)
    }
    isStuck = false
    const others = await enqueue(desk.sql, ...Array.from({ length: 5 }, () => request()))
    await until(async () => (await readJobs(desk.sql, [id, ...others])).every(({ status }) => status === 'completed'))
    await runner.stop(100)
    expect(ran).toEqual(expect.arrayContaining(others))
  })
})
