import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Caller } from '#platform/caller/caller.ts'
import { PLATFORM_TENANT } from '#platform/database/tenantScope.ts'
import { ensurePlatformSchedules } from '../../../subgraphs/queue/platformSchedules.ts'
import { TENANT_JOB_TYPES } from '../../../subgraphs/queue/services/tenantJobTypes.ts'
import { demo, rival, until } from './queueDatabase.ts'
import { findAudits, OLTP, OPERATOR, type QueueTier, SUPPORT, startQueueTier, userOf } from './queueTier.ts'
import { jobsOf, readSchedule, writeSchedule } from './scheduleRows.ts'

let tier: QueueTier
const owner = userOf(demo, 'owner')
const stranger = userOf(rival, 'owner')
beforeAll(async () => {
  tier = await startQueueTier()
})
afterAll(() => tier.stop())
beforeEach(() => tier.sql.query('DELETE FROM scheduled_jobs'))

/** What a tenant may do once there is a job type for it. */
const openTypes = TENANT_JOB_TYPES as string[]
const withOpenType = () => openTypes.push('refreshViews')
afterEach(() => void openTypes.splice(0))

const FIELDS = `id name jobType queue { name } payload cronExpression timezone isActive priority overlapPolicy
  missedRunPolicy nextRunAt lastRunAt runCount lastError lastJob { id status }`
const INPUTS = {
  create: 'CreateScheduledJobInput',
  update: 'UpdateScheduledJobInput',
  run: 'ScheduledJobActionInput',
  delete: 'ScheduledJobActionInput',
}
const SELECTIONS = {
  create: `scheduledJob { ${FIELDS} }`,
  update: `scheduledJob { ${FIELDS} }`,
  run: `job { id status correlationId } scheduledJob { ${FIELDS} }`,
  delete: 'id',
}
const VALID = { name: 'nightly', jobType: 'refreshViews', cronExpression: '0 3 * * *' }

async function ask(verb: keyof typeof INPUTS, input: object, caller: Caller = OPERATOR) {
  const name = `${verb}ScheduledJob`
  const query = `mutation ($input: ${INPUTS[verb]}!) { ${name}(input: $input) { ${SELECTIONS[verb]} } }`
  const { data, errors } = await tier.ask(query, { input }, caller)
  return { ...data?.[name], code: errors?.[0]?.extensions.code, message: errors?.[0]?.message ?? '' }
}
const create = async (changes: object = {}, caller: Caller = OPERATOR): Promise<string> => {
  const { scheduledJob, message } = await ask('create', { ...VALID, ...changes }, caller)
  if (!scheduledJob) throw new Error(message)
  return scheduledJob.id
}
const countSchedules = async () => (await tier.sql.query('SELECT FROM scheduled_jobs')).rowCount

describe('createScheduledJob', () => {
  test('makes one of the platform’s own, with what was left open', async () => {
    const { scheduledJob } = await ask('create', VALID)
    expect(scheduledJob).toMatchObject({
      ...{ ...VALID, queue: { name: 'analytics-processing' }, payload: {}, timezone: 'UTC', isActive: true },
      ...{ priority: null, overlapPolicy: 'SKIP', missedRunPolicy: 'RUN_ONCE', runCount: 0, lastJob: null },
    })
    expect(scheduledJob.nextRunAt).toMatch(/T03:00:00.000Z$/)
    expect(Date.parse(scheduledJob.nextRunAt)).toBeGreaterThan(Date.now())
    const { rows } = await tier.sql.query('SELECT tenant_id FROM scheduled_jobs')
    expect(rows).toEqual([{ tenant_id: PLATFORM_TENANT }])
  })

  test('makes one of the tenant that an operator names, who reads it and nobody else', async () => {
    const given = { priority: 7, timezone: 'Europe/Berlin', overlapPolicy: 'ALLOW', missedRunPolicy: 'RUN_ALL' }
    const { scheduledJob } = await ask('create', { ...VALID, ...given, tenantId: demo, isActive: false })
    expect(scheduledJob).toMatchObject({ ...given, isActive: false, nextRunAt: null })
    const LIST = '{ scheduledJobs { nodes { name payload overlapPolicy } } }'
    const list = async (caller: Caller) => (await tier.ask(LIST, {}, caller)).data.scheduledJobs.nodes
    expect(await list(owner)).toEqual([{ name: 'nightly', payload: {}, overlapPolicy: 'ALLOW' }])
    expect(await list(userOf(demo, 'viewer'))).toEqual([{ name: 'nightly', payload: null, overlapPolicy: 'ALLOW' }])
    expect(await list(stranger)).toEqual([])
  })

  test('takes each name once in a tenant, also of two who ask at once', async () => {
    const asked = await Promise.all(Array.from({ length: 4 }, () => ask('create', VALID)))
    expect(asked.map(({ code }) => code).sort()).toEqual(['CONFLICT', 'CONFLICT', 'CONFLICT', undefined])
    expect(await countSchedules()).toBe(1)
    expect((await ask('create', { ...VALID, tenantId: demo })).code).toBeUndefined()
  })

  test.each([
    ['an unknown job type', { jobType: 'makeCoffee' }, 'jobType: there is no such job type'],
    ['a queue that is none', { queueName: 'nowhere' }, 'queueName: jobs of this type run in the queue analytics'],
    ['another queue', { queueName: 'email-sending' }, 'queueName: jobs of this type run in the queue analytics'],
    ['an expression that cannot be read', { cronExpression: '99 * * * *' }, 'cronExpression: '],
    ['seconds', { cronExpression: '*/5 * * * * *' }, 'cronExpression: has 6 fields'],
    ['a date that never comes', { cronExpression: '0 0 30 2 *' }, 'cronExpression: never comes due'],
    ['one that is stopped, too', { cronExpression: '0 0 30 2 *', isActive: false }, 'cronExpression: never comes due'],
    ['a zone that is none', { timezone: 'Mars/Phobos' }, 'timezone: there is no time zone "Mars/Phobos"'],
    ['a list for a payload', { payload: [1] }, 'payload: is not an object'],
    ['a payload that is too large', { payload: { a: 'x'.repeat(70_000) } }, 'payload: is larger than 65536 bytes'],
    ['a payload that is far too large', { payload: { a: 'x'.repeat(1_100_000) } }, 'payload: is larger than'],
    ['a payload that cannot be stored', { payload: { a: '\0' } }, 'payload: holds characters that cannot be stored'],
    ['a payload the task does not understand', { jobType: 'recordAudit', payload: { a: 1 } }, 'payload: '],
    ['no payload where the task needs one', { jobType: 'recordAudit', payload: null }, 'payload: '],
    ['a priority out of bounds', { priority: 0 }, 'priority: '],
    ['no name', { name: '  ' }, 'name: is empty'],
    ['a long name', { name: 'x'.repeat(201) }, 'name: has more than 200 characters'],
    ['a name that cannot be stored', { name: 'a\0b' }, 'name: holds characters that cannot be stored'],
    ['half a character', { name: 'a\ud800b' }, 'name: holds characters that cannot be stored'],
    ['run_all without overlap', { missedRunPolicy: 'RUN_ALL' }, 'missedRunPolicy: RUN_ALL'],
    ['a tenant that is no id', { tenantId: 'demo' }, 'tenantId: is not an id'],
  ])('refuses %s', async (_what, changes, message) => {
    const refused = await ask('create', { ...VALID, ...changes })
    expect(refused).toMatchObject({ code: 'INVALID_INPUT', message: expect.stringContaining(message) })
    expect(await countSchedules()).toBe(0)
  })
})

describe('a tenant’s users', () => {
  test('may schedule no job type today, nor touch what operators schedule for the tenant', async () => {
    expect(openTypes).toEqual([])
    for (const jobType of ['rollUpEvents', 'recordAudit', 'deliverNotification', 'refreshViews', 'makeCoffee']) {
      expect((await ask('create', { ...VALID, jobType }, owner)).code).toBe('FORBIDDEN')
    }
    const id = await create({ tenantId: demo })
    const before = await readSchedule(tier.sql, id)
    expect((await ask('update', { id, isActive: false }, owner)).code).toBe('FORBIDDEN')
    expect((await ask('run', { id }, owner)).code).toBe('FORBIDDEN')
    expect((await ask('delete', { id }, owner)).code).toBe('FORBIDDEN')
    expect(await readSchedule(tier.sql, id)).toEqual(before)
  })

  test('do all of it with a type that is open to them, owners and admins only', async () => {
    withOpenType()
    for (const caller of [userOf(demo, 'manager'), userOf(demo, 'viewer'), SUPPORT, OLTP]) {
      expect((await ask('create', VALID, caller)).code).toBe('FORBIDDEN')
    }
    for (const caller of [owner, userOf(demo, 'admin')]) {
      const id = await create({}, caller)
      expect((await ask('update', { id, cronExpression: '0 4 * * *' }, caller)).scheduledJob.nextRunAt).toContain('T04')
      const { job } = await ask('run', { id }, caller)
      expect(job).toMatchObject({ status: 'QUEUED', correlationId: id })
      expect(await jobsOf(tier.sql, id)).toMatchObject([{ id: job.id, tenant_id: demo, status: 'queued' }])
      expect((await ask('delete', { id }, caller)).id).toBe(id)
    }
    expect((await ask('create', { ...VALID, tenantId: demo }, owner)).code).toBe('FORBIDDEN')
  })

  test('find another tenant’s as little as one that does not exist', async () => {
    withOpenType()
    const theirs = await create({}, stranger)
    const before = await readSchedule(tier.sql, theirs)
    for (const verb of ['update', 'run', 'delete'] as const) {
      const told = await ask(verb, { id: theirs }, owner)
      expect(told).toMatchObject({ code: 'NOT_FOUND', message: 'there is no such scheduled job' })
      expect(told).toEqual(await ask(verb, { id: randomUUID() }, owner))
    }
    expect(await readSchedule(tier.sql, theirs)).toEqual(before)
    expect(await jobsOf(tier.sql, theirs)).toEqual([])
  })

  test('have a hundred schedules at most, also when they ask at once', async () => {
    withOpenType()
    await Promise.all(Array.from({ length: 98 }, () => writeSchedule(tier.sql)))
    const asked = await Promise.all(['a', 'b', 'c', 'd'].map((name) => ask('create', { ...VALID, name }, owner)))
    expect(asked.filter(({ code }) => code === 'LIMIT_REACHED')).toHaveLength(2)
    expect(await countSchedules()).toBe(100)
    expect((await ask('create', VALID, stranger)).code).toBeUndefined()
  })
})

describe('updateScheduledJob', () => {
  test('changes what is given, and the next time only with the times', async () => {
    const id = await create({ priority: 7 })
    const before = await readSchedule(tier.sql, id)
    const { scheduledJob } = await ask('update', { id, name: ' weekly ', overlapPolicy: 'ALLOW' })
    expect(scheduledJob).toMatchObject({
      name: 'weekly',
      overlapPolicy: 'ALLOW',
      priority: 7,
      cronExpression: '0 3 * * *',
    })
    expect((await readSchedule(tier.sql, id)).next_run_at).toEqual(before.next_run_at)
    expect((await ask('update', { id, timezone: 'Asia/Tokyo' })).scheduledJob.nextRunAt).toContain('T18:00')
    expect((await ask('update', { id, priority: null })).scheduledJob.priority).toBeNull()
  })

  test('stops a schedule, and starts it again without the times it was stopped for', async () => {
    const id = await create({ missedRunPolicy: 'RUN_ALL', overlapPolicy: 'ALLOW', cronExpression: '* * * * *' })
    expect((await ask('update', { id, isActive: false })).scheduledJob).toMatchObject({
      isActive: false,
      nextRunAt: null,
    })
    const before = Date.now()
    const { scheduledJob } = await ask('update', { id, isActive: true })
    expect(Date.parse(scheduledJob.nextRunAt)).toBeGreaterThan(before)
  })

  test('refuses what creating would, and changes nothing then', async () => {
    const id = await create()
    await create({ name: 'other' })
    const before = await readSchedule(tier.sql, id)
    expect((await ask('update', { id, name: 'other' })).code).toBe('CONFLICT')
    for (const input of [{ cronExpression: '0 0 30 2 *' }, { timezone: 'nowhere' }, { missedRunPolicy: 'RUN_ALL' }]) {
      expect((await ask('update', { id, ...input })).code).toBe('INVALID_INPUT')
    }
    expect((await ask('update', { id: 'x' })).code).toBe('INVALID_INPUT')
    expect(await readSchedule(tier.sql, id)).toEqual(before)
  })

  test('starts one that was stopped for what cannot be read only with what can', async () => {
    const id = await writeSchedule(tier.sql, {
      cron_expression: 'bad',
      is_active: false,
      last_error: 'cronExpression: bad',
    })
    expect((await ask('update', { id, isActive: true })).code).toBe('INVALID_INPUT')
    const { scheduledJob } = await ask('update', { id, isActive: true, cronExpression: '0 3 * * *' })
    expect(scheduledJob).toMatchObject({ isActive: true, lastError: null })
  })
})

describe('runScheduledJob', () => {
  test('makes a job at once, active or not, and leaves the times alone', async () => {
    const id = await create({ isActive: false, priority: 9 })
    const { job, scheduledJob } = await ask('run', { id })
    expect(scheduledJob).toMatchObject({ runCount: 1, isActive: false, nextRunAt: null })
    expect(scheduledJob.lastJob).toEqual({ id: job.id, status: 'QUEUED' })
    expect(await jobsOf(tier.sql, id)).toMatchObject([{ tenant_id: PLATFORM_TENANT, priority: 9 }])
  })

  test('makes no second one beside it unless they may overlap', async () => {
    const id = await create()
    const asked = await Promise.all(Array.from({ length: 3 }, () => ask('run', { id })))
    expect(asked.map(({ code }) => code).sort()).toEqual(['CONFLICT', 'CONFLICT', undefined])
    await ask('update', { id, overlapPolicy: 'ALLOW' })
    await Promise.all(Array.from({ length: 3 }, () => ask('run', { id })))
    expect(await jobsOf(tier.sql, id)).toHaveLength(4)
  })
})

describe('the platform’s own', () => {
  test('can be stopped and run, but neither changed nor removed', async () => {
    await ensurePlatformSchedules(tier.sql)
    const { rows } = await tier.sql.query<{ id: string }>('SELECT id FROM scheduled_jobs')
    const { id } = rows[0] as { id: string }
    expect((await ask('delete', { id })).code).toBe('CONFLICT')
    expect((await ask('update', { id, cronExpression: '0 3 * * *' })).code).toBe('CONFLICT')
    expect((await ask('update', { id, isActive: false })).scheduledJob.isActive).toBe(false)
    expect((await ask('run', { id })).job.status).toBe('QUEUED')
  })
})

test('whatever is done is in the audit log of the tenant concerned, without the payload', async () => {
  const id = await create({ tenantId: rival, name: 'audited' })
  await ask('update', { id, cronExpression: '0 5 * * *' })
  await ask('run', { id })
  await ask('delete', { id })
  const [created, updated, run, deleted] = await Promise.all(
    ['created', 'updated', 'run', 'deleted'].map((done) =>
      until(async () => {
        const audits = await findAudits(tier.sql, rival, `scheduledJob.${done}`)
        return audits.find(({ resourceId }) => resourceId === id)
      }),
    ),
  )
  const who = { adminUserId: OPERATOR.userId, resourceType: 'ScheduledJob' }
  expect(created).toMatchObject({ ...who, newValues: { name: 'audited', cronExpression: '0 3 * * *' } })
  expect(updated).toMatchObject({
    oldValues: { cronExpression: '0 3 * * *' },
    newValues: { cronExpression: '0 5 * * *' },
  })
  expect(run).toMatchObject({ newValues: { lastJobId: expect.any(String) } })
  expect(deleted).toMatchObject({ oldValues: { name: 'audited' } })
  expect(JSON.stringify([created, updated, run, deleted])).not.toContain('payload')
})
