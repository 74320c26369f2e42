import { afterAll, afterEach, beforeAll, expect, jest, test } from '@jest/globals'
import pg from 'pg'
import type { ClaimedJob } from '../../../subgraphs/queue/engine/job.ts'
import { type Settled, type Settlement, Settler } from '../../../subgraphs/queue/engine/settler.ts'
import { type ClaimDesk, done, failure, jobsOf, openClaimDesk } from './claimDesk.ts'
import { demo, enqueue, request, rival, silent, until } from './queueDatabase.ts'

let desk: ClaimDesk
beforeAll(async () => {
  desk = await openClaimDesk()
})
afterEach(() => desk.clear())
afterAll(() => desk.close())

/** A settler, what it told of, and the statements it sent to a pool that is the real one. */
function openSettler() {
  const settled: Settled[] = []
  const sent: string[] = []
  const query = (statement: { text: string } | string, values: unknown[]) => {
    sent.push(typeof statement === 'string' ? statement : statement.text)
    return desk.sql.query(statement as string, values)
  }
  const settler = new Settler({
    pool: { query } as unknown as pg.Pool,
    log: silent,
    isLast: () => false,
    onSettled: async (some) => void settled.push(...some),
  })
  return { settler, sentWith: (words: string) => sent.filter((text) => text.includes(words)).length, settled }
}

const claimJobsOf = async (tenants: string[]) => {
  await enqueue(desk.sql, ...tenants.map((tenantId) => request({ tenantId })))
  return jobsOf(await desk.claim(tenants.length))
}
/** PostgreSQL stores no NUL. */
const spoiled = (job: ClaimedJob): Settlement => ({ kind: 'completed', job: { ...done(job), result: 'a\0b' } })
const states = async () => {
  const { rows } = await desk.sql.query('SELECT id, status, attempt_count, last_error_message AS error FROM jobs')
  return new Map(rows.map(({ id, ...rest }) => [id, rest]))
}

test.each([{ giveUp: false }, { giveUp: true }])(
  'what spoils one kind is found there, and no other kind is written twice: %j',
  async (how) => {
    const [bad, good, failed, postponed, cancelled] = (await claimJobsOf([demo, rival, rival, demo, rival])) as [
      ClaimedJob,
      ClaimedJob,
      ClaimedJob,
      ClaimedJob,
      ClaimedJob,
    ]
    const { settler, settled, sentWith } = openSettler()
    settler.add([
      spoiled(bad),
      { kind: 'completed', job: done(good) },
      { kind: 'failed', job: failure(failed) },
      { kind: 'postponed', job: { ...postponed, delayMs: 60_000, reason: 'later' } },
      { kind: 'cancelled', job: done(cancelled) },
    ])
    await settler.finish(how)
    const now = await states()
    expect(now.get(bad.id)).toEqual({
      status: 'queued',
      attempt_count: 1,
      error: 'the outcome of the attempt cannot be stored',
    })
    expect(now.get(good.id)).toEqual({ status: 'completed', attempt_count: 1, error: null })
    expect(now.get(failed.id)).toEqual({ status: 'queued', attempt_count: 1, error: 'no luck' })
    expect(now.get(postponed.id)).toEqual({ status: 'queued', attempt_count: 0, error: 'later' })
    expect(now.get(cancelled.id)).toMatchObject({ status: 'cancelled', attempt_count: 1 })
    expect(settled.map(({ settlement: { job }, as }) => [job.id, as]).toSorted()).toEqual(
      [
        [bad.id, 'retried'],
        [good.id, 'completed'],
        [failed.id, 'retried'],
        [postponed.id, 'postponed'],
        [cancelled.id, 'cancelled'],
      ].toSorted(),
    )
    expect([sentWith("'stopped by a person'"), sentWith('"delayMs"')]).toEqual([1, 1])
    // Its own, and that of the one that could not be stored.
    expect(sentWith('backoff_base_ms')).toBe(2)
  },
)

test('a worker that stops tries again for a moment when its connection breaks, and drops nothing', async () => {
  const jobs = await claimJobsOf([demo, rival, demo])
  const { settler, settled } = openSettler()
  const client = await desk.owner.connect()
  await client.query('BEGIN')
  await client.query('SELECT FROM worker_leases FOR UPDATE')
  settler.add(jobs.map((job) => ({ kind: 'completed', job: done(job) })))
  const waiting = `SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`
  await until(async () => (await desk.sql.query(waiting)).rowCount === 1)
  // The moment lasts for as long as it takes here.
  const clock = jest.spyOn(performance, 'now').mockReturnValue(performance.now())
  try {
    const finished = settler.finish({ giveUp: true })
    await desk.sql.query(`SELECT pg_terminate_backend(pid) FROM (${waiting}) AS w`)
    await client.query('COMMIT')
    client.release()
    await finished
  } finally {
    clock.mockRestore()
  }
  expect(settled.map(({ as }) => as)).toEqual(['completed', 'completed', 'completed'])
})

test('a worker that stops waits for a database that is gone no longer than that, and leaves the rest to its leases', async () => {
  const [job] = (await claimJobsOf([demo])) as [ClaimedJob]
  const settled: Settled[] = []
  // Nobody listens there.
  const pool = new pg.Pool({ host: '127.0.0.1', port: 1 })
  const options = {
    pool,
    log: silent,
    isLast: () => false,
    onSettled: async (some: Settled[]) => void settled.push(...some),
  }
  const settler = new Settler(options)
  settler.add([
    { kind: 'completed', job: done(job) },
    { kind: 'failed', job: failure(job) },
  ])
  const from = performance.now()
  await settler.finish({ giveUp: true })
  expect(performance.now() - from).toBeLessThan(10_000)
  expect(settled).toEqual([])
  expect((await states()).get(job.id)).toMatchObject({ status: 'queued', attempt_count: 0 })
})
