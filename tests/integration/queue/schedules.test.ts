import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { PLATFORM_TENANT } from '#platform/database/tenantScope.ts'
import { fireSchedules } from '../../../subgraphs/queue/engine/schedules.ts'
import { ensurePlatformSchedules, platformSchedules } from '../../../subgraphs/queue/platformSchedules.ts'
import { tasks } from '../../../subgraphs/queue/tasks/tasks.ts'
import { demo, openQueueDatabase, type QueueDatabase, rival } from './queueDatabase.ts'
import { jobsOf, readSchedule, writeSchedule } from './scheduleRows.ts'

let queue: QueueDatabase
beforeAll(async () => {
  queue = await openQueueDatabase()
})
afterAll(() => queue.close())
beforeEach(() => queue.sql.query('DELETE FROM scheduled_jobs'))

const at = (time: string) => new Date(`2026-03-02T${time}Z`)
const fire = (time: string) => fireSchedules(queue.sql, at(time))
const dueTimes = async (id: string) => (await jobsOf(queue.sql, id)).map(({ due }) => due.slice(11, 16))
const endJobs = () => queue.sql.query(`UPDATE jobs SET status = 'completed', completed_at = now()`)

describe('a schedule that is due', () => {
  test('becomes one job as it says, and is due again at its next time', async () => {
    const id = await writeSchedule(queue.sql, { priority: 7, tenant_id: rival })
    expect(await fire('10:00:00.900')).toEqual({
      schedules: 1,
      jobs: 1,
      readyQueues: ['content-archival'],
      troubles: [],
    })
    const [job] = await jobsOf(queue.sql, id)
    expect(job).toMatchObject({ tenant_id: rival, queue_name: 'content-archival', job_type: 'echo', priority: 7 })
    expect(job).toMatchObject({ payload: { text: 'hello' }, due: '2026-03-02T10:00:00.000Z', status: 'queued' })
    expect(await readSchedule(queue.sql, id)).toMatchObject({
      next_run_at: at('10:05:00'),
      last_run_at: at('10:00:00.900'),
      run_count: 1,
      last_job_id: job?.id,
      last_error: null,
    })
    expect((await fire('10:04:59')).schedules).toBe(0)
  })

  test('is looked at by the database’s clock', async () => {
    const now = Date.now()
    const [past, future] = [new Date(now - 1_000), new Date(now + 600_000)]
    const due = await writeSchedule(queue.sql, { next_run_at: past })
    const later = await writeSchedule(queue.sql, { next_run_at: future })
    await fireSchedules(queue.sql)
    expect(await jobsOf(queue.sql, due)).toHaveLength(1)
    expect(await jobsOf(queue.sql, later)).toEqual([])
    expect((await readSchedule(queue.sql, due)).next_run_at?.getTime()).toBeGreaterThan(now)
  })

  test('is left alone while it is not active, and is given a time when it has none', async () => {
    const stopped = await writeSchedule(queue.sql, { is_active: false })
    const untimed = await writeSchedule(queue.sql, { next_run_at: null })
    await fire('10:01:00')
    expect(await jobsOf(queue.sql, stopped)).toEqual([])
    expect(await jobsOf(queue.sql, untimed)).toEqual([])
    expect((await readSchedule(queue.sql, untimed)).next_run_at).toEqual(at('10:05:00'))
  })

  test('keeps to its zone where clocks change', async () => {
    const zone = { cron_expression: '30 2 * * *', timezone: 'Europe/Berlin' }
    const forward = await writeSchedule(queue.sql, { ...zone, next_run_at: '2026-03-28T01:30:00Z' })
    const back = await writeSchedule(queue.sql, { ...zone, next_run_at: '2026-10-25T00:30:00Z' })
    await fireSchedules(queue.sql, new Date('2026-03-28T01:30:01Z'))
    expect((await readSchedule(queue.sql, forward)).next_run_at).toEqual(new Date('2026-03-29T01:00:00Z'))
    await fireSchedules(queue.sql, new Date('2026-10-25T00:30:01Z'))
    expect((await readSchedule(queue.sql, back)).next_run_at).toEqual(new Date('2026-10-26T01:30:00Z'))
  })
})

describe('exactly one firing', () => {
  test('each of 300 schedules becomes one job a due time, with four schedulers at it', async () => {
    const ids = await Promise.all(
      Array.from({ length: 300 }, () => writeSchedule(queue.sql, { overlap_policy: 'allow' })),
    )
    let jobs = 0
    for (const time of ['10:00:00', '10:05:00', '10:10:00']) {
      // Each scheduler looks until nothing is due: what others hold at the moment it passes by.
      const looks = await Promise.all(Array.from({ length: 4 }, () => fire(time)))
      jobs += looks.reduce((sum, look) => sum + look.jobs, (await fire(time)).jobs)
    }
    expect(jobs).toBe(900)
    const { rows } = await queue.sql.query(
      `SELECT count(*)::int AS jobs, count(DISTINCT (correlation_id, key))::int AS pairs
       FROM jobs j JOIN enqueue_receipts r ON r.tenant_id = j.tenant_id AND r.job_id = j.id
       WHERE j.correlation_id = ANY($1)`,
      [ids],
    )
    expect(rows[0]).toEqual({ jobs: 900, pairs: 900 })
    expect(await dueTimes(ids[7] as string)).toEqual(['10:00', '10:05', '10:10'])
  })

  test('job and next time are written together: what fails in between leaves neither', async () => {
    const id = await writeSchedule(queue.sql)
    const before = await readSchedule(queue.sql, id)
    await asOwner(`CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no disk''; END';
      CREATE TRIGGER fail BEFORE UPDATE ON scheduled_jobs FOR EACH ROW EXECUTE FUNCTION fail()`)
    await expect(fire('10:00:00')).rejects.toThrow('no disk')
    await asOwner('DROP TRIGGER fail ON scheduled_jobs; DROP FUNCTION fail')
    expect(await jobsOf(queue.sql, id)).toEqual([])
    expect(await readSchedule(queue.sql, id)).toEqual(before)
    expect((await fire('10:00:00')).jobs).toBe(1)
  })

  test('a due time that comes back, as from a backup, becomes no second job', async () => {
    const id = await writeSchedule(queue.sql)
    await fire('10:00:00')
    await endJobs()
    await queue.sql.query(`UPDATE scheduled_jobs SET next_run_at = '2026-03-02T10:00:00Z', last_job_id = NULL`)
    expect(await fire('10:00:30')).toMatchObject({ schedules: 1, jobs: 0, troubles: [] })
    const [job] = await jobsOf(queue.sql, id)
    expect(await readSchedule(queue.sql, id)).toMatchObject({ run_count: 1, last_job_id: job?.id })
  })
})

describe('while the last job has not ended', () => {
  test('skip makes none and says so, until it has', async () => {
    const id = await writeSchedule(queue.sql)
    await fire('10:00:00')
    expect((await fire('10:05:00')).troubles).toMatchObject([
      { scheduleId: id, note: expect.stringContaining('not ended') },
    ])
    expect(await readSchedule(queue.sql, id)).toMatchObject({ run_count: 1, next_run_at: at('10:10:00') })
    expect((await readSchedule(queue.sql, id)).last_error).toContain('not ended')
    await endJobs()
    await fire('10:10:00')
    expect(await dueTimes(id)).toEqual(['10:00', '10:10'])
    expect((await readSchedule(queue.sql, id)).last_error).toBeNull()
  })

  test.each(['failed', 'cancelled', 'expired'])('a job that has %s has ended', async (status) => {
    const id = await writeSchedule(queue.sql)
    await fire('10:00:00')
    await queue.sql.query('UPDATE jobs SET status = $2 WHERE correlation_id = $1', [id, status])
    expect((await fire('10:05:00')).jobs).toBe(1)
  })

  test('allow makes the next one beside it', async () => {
    const id = await writeSchedule(queue.sql, { overlap_policy: 'allow' })
    await fire('10:00:00')
    await fire('10:05:00')
    expect(await dueTimes(id)).toEqual(['10:00', '10:05'])
  })
})

describe('times at which nobody looked', () => {
  const write = (missed_run_policy: string, changes: object = {}) =>
    writeSchedule(queue.sql, { missed_run_policy, overlap_policy: 'allow', ...changes })

  test('skip leaves them out, but for one of the last minute', async () => {
    const late = await write('skip')
    const recent = await write('skip', { cron_expression: '* * * * *' })
    const barely = await write('skip', { next_run_at: '2026-03-02T10:21:30Z', cron_expression: '30 10 * * *' })
    expect((await fire('10:22:20')).jobs).toBe(2)
    expect(await dueTimes(late)).toEqual([])
    expect(await readSchedule(queue.sql, late)).toMatchObject({ next_run_at: at('10:25:00'), run_count: 0 })
    expect((await readSchedule(queue.sql, late)).last_error).toContain('nobody looked')
    expect(await dueTimes(recent)).toEqual(['10:22'])
    expect(await dueTimes(barely)).toEqual(['10:21'])
  })

  test('run_once makes one job of them, however many', async () => {
    const id = await write('run_once', { cron_expression: '* * * * *', next_run_at: '2020-01-01T00:00:00Z' })
    expect((await fire('10:22:20')).jobs).toBe(1)
    expect(await readSchedule(queue.sql, id)).toMatchObject({ next_run_at: at('10:23:00'), run_count: 1 })
  })

  test('run_all makes one job of each, in order', async () => {
    const id = await write('run_all')
    expect((await fire('10:22:20')).jobs).toBe(5)
    expect(await dueTimes(id)).toEqual(['10:00', '10:05', '10:10', '10:15', '10:20'])
    expect(await readSchedule(queue.sql, id)).toMatchObject({
      next_run_at: at('10:25:00'),
      run_count: 5,
      last_error: null,
    })
  })

  test('run_all makes a hundred at most, and says that there were more', async () => {
    const id = await write('run_all', { cron_expression: '* * * * *', next_run_at: '2020-01-01T00:00:00Z' })
    expect((await fire('10:22:20')).jobs).toBe(100)
    expect(await readSchedule(queue.sql, id)).toMatchObject({ next_run_at: at('10:23:00'), run_count: 100 })
    expect((await readSchedule(queue.sql, id)).last_error).toContain('more than 100')
  })

  test('run_all makes one where jobs must not overlap', async () => {
    await write('run_all', { overlap_policy: 'skip' })
    expect((await fire('10:22:20')).jobs).toBe(1)
  })
})

describe('a schedule that cannot be fired', () => {
  test.each([
    ['an expression that cannot be read', { cron_expression: 'now and then' }, 'cronExpression'],
    ['a zone that is none', { timezone: 'Mars/Phobos' }, 'timezone'],
    ['a time that never comes', { cron_expression: '0 0 30 2 *', next_run_at: null }, 'never comes due'],
  ])('for %s is stopped with the reason, and stops no other', async (_what, changes, reason) => {
    const bad = await writeSchedule(queue.sql, { next_run_at: '2026-03-02T09:00:00Z', ...changes })
    const good = await writeSchedule(queue.sql)
    const { troubles } = await fire('10:00:00')
    expect(troubles).toMatchObject([{ scheduleId: bad, tenantId: demo, isStopped: true }])
    expect(await readSchedule(queue.sql, bad)).toMatchObject({ is_active: false, next_run_at: null, run_count: 0 })
    expect((await readSchedule(queue.sql, bad)).last_error).toContain(reason)
    expect(await dueTimes(good)).toEqual(['10:00'])
    expect((await fire('10:00:00')).schedules).toBe(0)
  })

  test('for what its jobs are keeps the reason and goes on by its times', async () => {
    const nowhere = await writeSchedule(queue.sql, { queue_name: 'nowhere' })
    const urgent = await writeSchedule(queue.sql, { priority: 0 })
    const good = await writeSchedule(queue.sql)
    expect((await fire('10:00:00')).jobs).toBe(1)
    expect(await dueTimes(good)).toEqual(['10:00'])
    for (const [id, reason] of [
      [nowhere, 'there is no queue nowhere'],
      [urgent, 'priority'],
    ] as const) {
      const schedule = await readSchedule(queue.sql, id)
      expect(schedule).toMatchObject({ is_active: true, next_run_at: at('10:05:00'), last_job_id: null })
      expect(schedule.last_error).toContain(reason)
    }
  })

  test('for what the database refuses does not take the others down with it', async () => {
    await asOwner(`ALTER TABLE jobs ADD CONSTRAINT planted CHECK (job_type <> 'refused')`)
    const refused = await writeSchedule(queue.sql, { job_type: 'refused' })
    const good = await Promise.all(Array.from({ length: 5 }, () => writeSchedule(queue.sql)))
    expect((await fire('10:00:00')).jobs).toBe(5)
    await asOwner('ALTER TABLE jobs DROP CONSTRAINT planted')
    for (const id of good) expect(await dueTimes(id)).toEqual(['10:00'])
    expect((await readSchedule(queue.sql, refused)).last_error).toBe('cannot be stored')
  })
})

describe('the platform’s own schedules', () => {
  const find = async () => {
    const { rows } = await queue.sql.query('SELECT * FROM scheduled_jobs WHERE tenant_id = $1', [PLATFORM_TENANT])
    return rows
  }

  test('are written once, however many workers start', async () => {
    const before = new Date()
    await Promise.all(Array.from({ length: 4 }, () => ensurePlatformSchedules(queue.sql)))
    const rows = await find()
    expect(rows.map(({ name }) => name).sort()).toEqual(platformSchedules.map(({ name }) => name).sort())
    expect(rows.every(({ is_active, next_run_at }) => is_active && next_run_at > before)).toBe(true)
    await ensurePlatformSchedules(queue.sql)
    expect(await find()).toEqual(rows)
  })

  test('take what has changed, but stay stopped when somebody stopped them', async () => {
    const [first] = platformSchedules as [(typeof platformSchedules)[number]]
    await ensurePlatformSchedules(queue.sql, [first])
    await queue.sql.query('UPDATE scheduled_jobs SET is_active = false, next_run_at = NULL')
    await ensurePlatformSchedules(queue.sql, [{ ...first, cronExpression: '7 * * * *' }])
    expect(await find()).toMatchObject([{ cron_expression: '7 * * * *', is_active: false, next_run_at: null }])
    await queue.sql.query(`UPDATE scheduled_jobs SET is_active = true, next_run_at = now()`)
    await ensurePlatformSchedules(queue.sql, [{ ...first, cronExpression: '8 * * * *' }])
    const [row] = await find()
    expect(row).toMatchObject({ cron_expression: '8 * * * *', is_active: true })
    expect(row.next_run_at.getUTCMinutes()).toBe(8)
  })

  test('are for tasks that every worker has, and tell them what they understand', async () => {
    for (const { task } of platformSchedules) {
      expect(tasks).toContain(task)
      expect(task.payload.safeParse({}).success).toBe(true)
    }
  })
})

async function asOwner(statement: string): Promise<void> {
  const { default: pg } = await import('pg')
  const owner = new pg.Client({ connectionString: queue.ownerUrl })
  await owner.connect()
  await owner.query(statement)
  await owner.end()
}
