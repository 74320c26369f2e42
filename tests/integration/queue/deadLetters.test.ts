import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { PLATFORM_TENANT } from '#platform/database/tenantScope.ts'
import { claimJobs } from '../../../subgraphs/queue/engine/claim.ts'
import { letterReplay } from '../../../subgraphs/queue/engine/letterSweeps.ts'
import { runSweep } from '../../../subgraphs/queue/engine/sweep.ts'
import { buryJobs, countStatuses, startOperator } from './endedJobs.ts'
import { demo, enqueue, makeWorker, request, rival, until } from './queueDatabase.ts'
import { findAudits, OPERATOR, type QueueTier, SUPPORT, startQueueTier, userOf } from './queueTier.ts'

let tier: QueueTier
const owner = userOf(demo, 'owner')
const stranger = userOf(rival, 'owner')
beforeAll(async () => {
  tier = await startQueueTier()
})
afterAll(() => tier.stop())

const REPLAY = `mutation ($input: ReplayDeadLettersInput!) { replayDeadLetters(input: $input) {
  dryRun matched replayed failures { id reason } deadLetters { id isResolved } job { id jobType status queue { name } } } }`
const RESOLVE = `mutation ($input: ResolveDeadLettersInput!) { resolveDeadLetters(input: $input) {
  dryRun matched resolved failures { id reason } deadLetters { id isResolved resolutionNotes resolvedBy { id } } job { id } } }`
const RESOLVE_ONE = `mutation ($id: ID!, $notes: String) { resolveDeadLetter(input: { id: $id, notes: $notes }) {
  deadLetter { id isResolved resolutionNotes resolvedBy { id } job { status } } } }`
const JOB = 'query ($id: ID!) { job(id: $id) { status progressPercentage progressMessage result } }'

const replay = async (input: object, caller = owner) => {
  const { data, errors } = await tier.ask(REPLAY, { input }, caller)
  return errors ? errors[0]?.extensions.code : data.replayDeadLetters
}
const resolve = async (input: object, caller = owner) => {
  const { data, errors } = await tier.ask(RESOLVE, { input }, caller)
  return errors ? errors[0]?.extensions.code : data.resolveDeadLetters
}
const isOpen = async (letters: readonly string[]) => {
  const { rows } = await tier.sql.query(
    'SELECT count(*)::int FROM dead_letter_jobs WHERE id = ANY($1) AND NOT is_resolved',
    [letters],
  )
  return rows[0].count
}

describe('a replay of more letters than go at once', () => {
  test('is tried dry, done by one job however often it is asked for, and its result tells what failed and why', async () => {
    const { jobs } = await buryJobs(tier.sql, 1_202, { jobType: 'archive' })
    const others = await buryJobs(tier.sql, 3, { jobType: 'archive', tenantId: rival })
    const [gone, done, ...left] = jobs
    await tier.sql.query('DELETE FROM jobs WHERE id = $1', [gone])
    await tier.sql.query(`UPDATE jobs SET status = 'completed' WHERE id = $1`, [done])
    const filter = { jobType: 'archive' }
    const dry = await replay({ filter, dryRun: true })
    expect(dry).toMatchObject({ dryRun: true, matched: 1_202, replayed: 0, failures: [], job: null })
    expect(dry.deadLetters).toHaveLength(1_000)
    expect(await countStatuses(tier.sql, left)).toEqual({ failed: 1_200 })

    const asked = await replay({ filter })
    expect(asked).toMatchObject({
      matched: 1_202,
      replayed: 0,
      job: { jobType: 'replayDeadLetters', status: 'QUEUED' },
    })
    expect((await replay({ filter })).job.id).toBe(asked.job.id)

    const runner = startOperator(tier)
    const job = await until(async () => {
      const { data } = await tier.ask(JOB, { id: asked.job.id }, owner)
      return data.job.status === 'COMPLETED' && data.job
    })
    await runner.stop(1_000)
    expect(job).toMatchObject({ progressPercentage: 100, result: { matched: 1_202, done: 1_200, failed: 2 } })
    expect(job.result.ids).toHaveLength(1_000)
    expect(job.result.failures.map(({ reason }: { reason: string }) => reason).toSorted()).toEqual([
      'the job is completed',
      'the job is gone',
    ])
    expect(await countStatuses(tier.sql, left)).toEqual({ queued: 1_200 })
    expect(await countStatuses(tier.sql, others.jobs)).toEqual({ failed: 3 })
    const audits = await until(async () => {
      const all = await findAudits(tier.sql, demo, 'deadLetters.replayed')
      return all.length >= 3 && all
    })
    expect(audits.flatMap(({ newValues }) => (newValues as { jobs: string[] }).jobs).toSorted()).toEqual(
      left.toSorted(),
    )
    expect(audits.every(({ adminUserId }) => adminUserId === owner.userId)).toBe(true)
    expect((await tier.ask(JOB, { id: asked.job.id }, stranger)).data.job).toBeNull()
    await tier.sql.query('DELETE FROM dead_letter_jobs WHERE job_type = $1', ['archive'])
  }, 60_000)

  test('taken up again after it was cut off, or run by two at once, does and counts nothing twice', async () => {
    const { jobs } = await buryJobs(tier.sql, 1_300, { jobType: 'twice' })
    const asked = await replay({ filter: { jobType: 'twice' }, asJob: true })
    const workerId = await makeWorker(tier.sql)
    const claim = await claimJobs(tier.sql, {
      workerId,
      queueName: 'infrastructure-monitoring',
      limit: 1,
      leaseMs: 60_000,
    })
    const job = claim?.jobs.find(({ id }) => id === asked.job.id)
    if (!job) throw new Error('the job was not claimed')
    const order = {
      filter: { tenantId: demo, jobType: 'twice' },
      userId: null,
      correlationId: null,
      notes: null,
      isStaff: false,
    }
    const run = (controller: AbortController, onStep: () => void) =>
      runSweep({ sweep: letterReplay, order, job, pool: tier.sql, signal: controller.signal, onStep })
    const first = new AbortController()
    await expect(run(first, () => first.abort(new Error('the worker stops')))).rejects.toThrow('the worker stops')
    expect(await countStatuses(tier.sql, jobs)).toEqual({ queued: 500, failed: 800 })
    const both = await Promise.all([1, 2].map(() => run(new AbortController(), () => {})))
    for (const result of both) expect(result).toMatchObject({ matched: 1_300, done: 1_300, failed: 0 })
    expect(await countStatuses(tier.sql, jobs)).toEqual({ queued: 1_300 })
    const { rows } = await tier.sql.query('SELECT count(*)::int FROM job_logs WHERE job_id = ANY($1)', [jobs])
    expect(rows[0].count).toBe(1_300)
    await tier.sql.query('DELETE FROM worker_leases')
    await tier.sql.query('DELETE FROM jobs WHERE id = $1', [asked.job.id])
  }, 60_000)

  test('reaches only the tenant of its job, whatever its payload says', async () => {
    const own = await buryJobs(tier.sql, 2, { jobType: 'mine' })
    const theirs = await buryJobs(tier.sql, 2, { jobType: 'mine', tenantId: rival })
    await enqueue(
      tier.sql,
      request({
        queueName: 'infrastructure-monitoring',
        jobType: 'replayDeadLetters',
        payload: { filter: { tenantId: rival, jobType: 'mine' } },
      }),
    )
    const runner = startOperator(tier)
    await until(async () => (await isOpen(own.letters)) === 0)
    await runner.stop(1_000)
    expect(await isOpen(theirs.letters)).toBe(2)
  })

  test('asked for by an operator is the platform’s job, reaches all tenants and is told to each one’s audit log', async () => {
    const own = await buryJobs(tier.sql, 2, { jobType: 'all' })
    const theirs = await buryJobs(tier.sql, 2, { jobType: 'all', tenantId: rival })
    const { job, matched } = await replay({ filter: { jobType: 'all' }, asJob: true }, OPERATOR)
    expect(matched).toBe(4)
    const { rows } = await tier.sql.query('SELECT tenant_id FROM jobs WHERE id = $1', [job.id])
    expect(rows).toEqual([{ tenant_id: PLATFORM_TENANT }])
    const runner = startOperator(tier)
    await until(async () => (await isOpen([...own.letters, ...theirs.letters])) === 0)
    await runner.stop(1_000)
    for (const tenantId of [demo, rival]) {
      await until(async () =>
        (await findAudits(tier.sql, tenantId, 'deadLetters.replayed')).some(
          ({ adminUserId }) => adminUserId === OPERATOR.userId,
        ),
      )
    }
  })
})

describe('a replay at once', () => {
  test('of a resolved letter that is named changes nothing: CONFLICT', async () => {
    const { jobs, letters } = await buryJobs(tier.sql, 2, { jobType: 'named' })
    await resolve({ filter: { ids: [letters[0]] } })
    expect(await replay({ filter: { ids: letters } })).toBe('CONFLICT')
    expect(await replay({ filter: { ids: letters, isResolved: true } })).toBe('INVALID_INPUT')
    expect(await countStatuses(tier.sql, jobs)).toEqual({ failed: 2 })
    expect(await replay({ filter: { ids: letters } }, stranger)).toMatchObject({ matched: 0, replayed: 0 })
    expect(await replay({ filter: { ids: [letters[1]] } })).toMatchObject({ matched: 1, replayed: 1 })
  })

  test('leaves a job where it is whose unique key another one holds, and says so', async () => {
    const { jobs, letters } = await buryJobs(tier.sql, 2, { jobType: 'unique', uniqueKey: 'one' })
    const first = await replay({ filter: { jobType: 'unique' } })
    expect(first).toMatchObject({ matched: 2, replayed: 1, failures: [{ reason: 'another job holds its unique key' }] })
    expect(letters).toContain(first.failures[0].id)
    expect(await countStatuses(tier.sql, jobs)).toEqual({ queued: 1, failed: 1 })
    const { rows } = await tier.sql.query(`SELECT id FROM jobs WHERE id = ANY($1) AND status = 'failed'`, [jobs])
    const RETRY = 'mutation ($id: ID!) { retryJob(input: { id: $id }) { job { id } } }'
    expect((await tier.ask(RETRY, { id: rows[0].id }, owner)).errors?.[0]?.extensions.code).toBe('CONFLICT')
    await tier.sql.query(`UPDATE jobs SET status = 'completed' WHERE id = ANY($1) AND status = 'queued'`, [jobs])
    expect(await replay({ filter: { jobType: 'unique' } })).toMatchObject({ matched: 1, replayed: 1 })
  })

  test('takes the letters of a span of time', async () => {
    const { letters } = await buryJobs(tier.sql, 2, { jobType: 'span' })
    await tier.sql.query(`UPDATE dead_letter_jobs SET created_at = '2026-01-05T10:00:00Z' WHERE id = $1`, [letters[0]])
    const created = { from: '2026-01-05T00:00:00Z', to: '2026-01-06T00:00:00Z' }
    expect(await replay({ filter: { jobType: 'span', created } })).toMatchObject({ matched: 1, replayed: 1 })
  })
})

describe('setting letters aside', () => {
  test('one, with a note, once; its job stays failed and the audit log is told', async () => {
    const { letters } = await buryJobs(tier.sql, 1, { jobType: 'aside' })
    const [id] = letters
    const code = async (caller: typeof owner, given: unknown = id) =>
      (await tier.ask(RESOLVE_ONE, { id: given }, caller)).errors?.[0]?.extensions.code
    expect(await code(stranger)).toBe('NOT_FOUND')
    expect(await code(userOf(demo, 'manager'))).toBe('FORBIDDEN')
    expect(await code(SUPPORT)).toBe('FORBIDDEN')
    expect(await code(owner, '12')).toBe('INVALID_INPUT')
    expect(await isOpen(letters)).toBe(1)
    const { data } = await tier.ask(RESOLVE_ONE, { id, notes: 'known' }, owner)
    expect(data.resolveDeadLetter.deadLetter).toEqual({
      ...{
        id,
        isResolved: true,
        resolutionNotes: 'known',
        resolvedBy: { id: owner.userId },
        job: { status: 'FAILED' },
      },
    })
    expect(await code(owner)).toBe('CONFLICT')
    const audits = await until(async () => {
      const all = await findAudits(tier.sql, demo, 'deadLetters.resolved')
      return all.some(({ notes }) => notes === 'known') && all
    })
    expect(audits).toContainEqual(
      expect.objectContaining({ notes: 'known', newValues: expect.objectContaining({ deadLetters: [id] }) }),
    )
  })

  test('many by filter, dry first; the rival’s are not among them', async () => {
    const { letters } = await buryJobs(tier.sql, 3, { jobType: 'many' })
    const theirs = await buryJobs(tier.sql, 2, { jobType: 'many', tenantId: rival })
    const filter = { jobType: 'many' }
    expect(await resolve({ filter, dryRun: true })).toMatchObject({ dryRun: true, matched: 3, resolved: 0 })
    expect(await isOpen(letters)).toBe(3)
    expect(await resolve({ filter, notes: 'x'.repeat(2_001) })).toBe('INVALID_INPUT')
    expect(await resolve({ filter, notes: 'an old bug' })).toMatchObject({
      ...{ matched: 3, resolved: 3, failures: [], job: null },
      deadLetters: Array(3).fill({ isResolved: true, resolutionNotes: 'an old bug', resolvedBy: { id: owner.userId } }),
    })
    expect(await isOpen(theirs.letters)).toBe(2)
  })

  test('what counts events or keeps the audit log only operators may set aside', async () => {
    const { letters } = await buryJobs(tier.sql, 1, { jobType: 'recordAudit' })
    const refused = (await tier.ask(RESOLVE_ONE, { id: letters[0] }, owner)).errors?.[0]?.extensions.code
    expect(refused).toBe('FORBIDDEN')
    const bulk = await resolve({ filter: { ids: letters } })
    expect(bulk).toMatchObject({ matched: 1, resolved: 0, failures: [{ id: letters[0] }] })
    expect(await isOpen(letters)).toBe(1)
    const { data } = await tier.ask(RESOLVE_ONE, { id: letters[0] }, OPERATOR)
    expect(data.resolveDeadLetter.deadLetter.isResolved).toBe(true)
  })

  test('as a job, for as many as there are', async () => {
    const { letters } = await buryJobs(tier.sql, 1_100, { jobType: 'heap' })
    const { job } = await resolve({ filter: { jobType: 'heap' }, notes: 'swept' })
    const runner = startOperator(tier)
    await until(async () => (await isOpen(letters)) === 0)
    const { result } = await until(async () => {
      const { data } = await tier.ask(JOB, { id: job.id }, owner)
      return data.job.status === 'COMPLETED' && data.job
    })
    await runner.stop(1_000)
    expect(result).toMatchObject({ matched: 1_100, done: 1_100, failed: 0 })
  }, 60_000)
})
