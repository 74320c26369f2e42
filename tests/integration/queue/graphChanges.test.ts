import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { claimJobs } from '../../../subgraphs/queue/engine/claim.ts'
import { findCancelled } from '../../../subgraphs/queue/engine/progress.ts'
import { demo, enqueue, makeWorker, request, rival, until } from './queueDatabase.ts'
import {
  findAudits,
  makeDeadLetters,
  OLTP,
  OPERATOR,
  type QueueTier,
  SUPPORT,
  startQueueTier,
  userOf,
} from './queueTier.ts'

let tier: QueueTier
const owner = userOf(demo, 'owner')
const stranger = userOf(rival, 'owner')
beforeAll(async () => {
  tier = await startQueueTier()
})
afterAll(() => tier.stop())

describe('changing jobs', () => {
  const RETRY = 'mutation ($id: ID!) { retryJob(input: { id: $id }) { job { id status attemptCount } } }'
  const CANCEL = 'mutation ($id: ID!) { cancelJob(input: { id: $id }) { job { id status } } }'
  const code = async (query: string, id: unknown, caller: typeof owner) =>
    (await tier.ask(query, { id }, caller)).errors?.[0]?.extensions.code

  test('a failed job is retried from its first attempt, its letter resolved, and the audit log is told', async () => {
    const [id] = await makeDeadLetters(tier.sql, 1)
    const { data } = await tier.ask(RETRY, { id }, owner)
    expect(data.retryJob.job).toEqual({ id, status: 'QUEUED', attemptCount: 0 })
    const { rows } = await tier.sql.query('SELECT is_resolved, resolved_by FROM dead_letter_jobs WHERE job_id = $1', [
      id,
    ])
    expect(rows).toEqual([{ is_resolved: true, resolved_by: owner.userId }])
    const audits = await until(async () => {
      const all = await findAudits(tier.sql, demo, 'job.retried')
      return all.length > 0 && all
    })
    expect(audits.at(-1)).toMatchObject({
      adminUserId: owner.userId,
      resourceType: 'Job',
      resourceId: id,
      oldValues: { status: 'failed' },
      newValues: { status: 'queued' },
    })
    await tier.sql.query('DELETE FROM jobs WHERE id = $1', [id])
  })

  test('a queued job is cancelled; then there is nothing to cancel, but it can be retried', async () => {
    const [id] = await enqueue(tier.sql, request({ queueName: 'billing-sync' }))
    expect((await tier.ask(CANCEL, { id }, owner)).data.cancelJob.job).toEqual({ id, status: 'CANCELLED' })
    expect(await code(CANCEL, id, owner)).toBe('CONFLICT')
    expect((await tier.ask(RETRY, { id }, owner)).data.retryJob.job.status).toBe('QUEUED')
  })

  test('a job in work is not retried, but asked to stop; one that is done is neither retried nor cancelled', async () => {
    const [id] = await enqueue(tier.sql, request({ queueName: 'content-archival' }))
    const workerId = await makeWorker(tier.sql)
    await claimJobs(tier.sql, { workerId, queueName: 'content-archival', limit: 1, leaseMs: 60_000 })
    expect(await code(RETRY, id, owner)).toBe('CONFLICT')
    expect((await tier.ask(CANCEL, { id }, owner)).data.cancelJob.job).toEqual({ id, status: 'PROCESSING' })
    expect(await findCancelled(tier.sql)).toEqual([id])
    await tier.sql.query(`UPDATE jobs SET status = 'completed' WHERE id = $1`, [id])
    expect(await code(RETRY, id, owner)).toBe('CONFLICT')
    expect(await code(CANCEL, id, owner)).toBe('CONFLICT')
  })

  test('another tenant’s job is not found, a malformed id is refused, and roles matter', async () => {
    const [id] = await enqueue(tier.sql, request({ queueName: 'billing-sync' }))
    for (const mutation of [RETRY, CANCEL]) {
      expect(await code(mutation, id, stranger)).toBe('NOT_FOUND')
      expect(await code(mutation, randomUUID(), owner)).toBe('NOT_FOUND')
      expect(await code(mutation, '12', owner)).toBe('INVALID_INPUT')
      expect(await code(mutation, id, userOf(demo, 'employee', 'viewer'))).toBe('FORBIDDEN')
      expect(await code(mutation, id, SUPPORT)).toBe('FORBIDDEN')
      expect(await code(mutation, id, OLTP)).toBe('FORBIDDEN')
    }
    expect((await tier.ask(CANCEL, { id }, OPERATOR)).data.cancelJob.job.status).toBe('CANCELLED')
    expect(await until(async () => (await findAudits(tier.sql, demo, 'job.cancelled')).length > 0)).toBe(true)
  })

  test('what keeps the audit log or counts events cannot be cancelled by those it keeps an eye on', async () => {
    for (const jobType of ['recordAudit', 'rollUpEvents']) {
      const [id] = await enqueue(tier.sql, request({ jobType, queueName: 'analytics-processing' }))
      expect(await code(CANCEL, id, owner)).toBe('FORBIDDEN')
      expect(await code(CANCEL, id, OPERATOR)).toBe('FORBIDDEN')
    }
  })
})

describe('dead letters', () => {
  const LETTERS = `query ($filter: DeadLetterFilter) {
    deadLetters(filter: $filter) { totalCount nodes { id jobType failureReason finalAttempt isResolved job { id status } queue { name } resolvedBy { id } } }
    deadLetterGroups(filter: $filter) { errorFingerprint count failureReason queue { name } } }`
  const REPLAY = `mutation ($input: ReplayDeadLettersInput!) { replayDeadLetters(input: $input) {
    dryRun matched replayed deadLetters { id isResolved job { status } } } }`

  test('more ids than the audit log can take are refused', async () => {
    const filter = { ids: Array.from({ length: 1_001 }, () => randomUUID()) }
    for (const [query, variables] of [
      [REPLAY, { input: { filter } }],
      [LETTERS, { filter }],
    ] as const) {
      expect((await tier.ask(query, variables, owner)).errors?.[0]?.extensions.code).toBe('INVALID_INPUT')
    }
  })

  test('are listed, counted by cause, tried dry, replayed once and for all', async () => {
    const ids = await makeDeadLetters(tier.sql, 3, { jobType: 'archive' })
    await makeDeadLetters(tier.sql, 1, { jobType: 'archive', tenantId: rival })
    const filter = { jobType: 'archive', errorFingerprint: 'disk' }
    const before = await tier.ask(LETTERS, { filter }, owner)
    expect(before.errors).toBeUndefined()
    expect(before.data.deadLetters.totalCount).toBe(3)
    expect(before.data.deadLetters.nodes[0]).toMatchObject({
      failureReason: 'disk full',
      finalAttempt: 1,
      job: { status: 'FAILED' },
    })
    expect(before.data.deadLetterGroups).toMatchObject([
      { errorFingerprint: 'disk', count: 3, failureReason: 'disk full' },
    ])
    expect((await tier.ask(LETTERS, { filter }, SUPPORT)).data.deadLetters.totalCount).toBe(4)

    const dry = await tier.ask(REPLAY, { input: { filter, dryRun: true } }, owner)
    expect(dry.data.replayDeadLetters).toMatchObject({ dryRun: true, matched: 3, replayed: 0 })
    const real = await tier.ask(REPLAY, { input: { filter } }, owner)
    expect(real.data.replayDeadLetters).toMatchObject({
      dryRun: false,
      matched: 3,
      replayed: 3,
      deadLetters: Array(3).fill({ id: expect.any(String), isResolved: true, job: { status: 'QUEUED' } }),
    })
    const again = await tier.ask(REPLAY, { input: { filter } }, owner)
    expect(again.data.replayDeadLetters).toMatchObject({ matched: 0, replayed: 0, deadLetters: [] })
    const { rows } = await tier.sql.query('SELECT id FROM jobs WHERE id = ANY($1) AND status = $2', [ids, 'queued'])
    expect(rows).toHaveLength(3)
    const resolved = await tier.ask(LETTERS, { filter: { ...filter, isResolved: true } }, owner)
    expect(resolved.data.deadLetters.nodes[0]).toMatchObject({ resolvedBy: { id: owner.userId } })
    const [entry] = await until(async () => {
      const all = await findAudits(tier.sql, demo, 'deadLetters.replayed')
      return all.length > 0 && all
    })
    expect(entry).toMatchObject({ resourceType: 'DeadLetter', newValues: { jobs: expect.any(Array) } })
  })

  test('another tenant’s are neither seen nor replayed, by filter or by id', async () => {
    const [jobId] = await makeDeadLetters(tier.sql, 1, { jobType: 'private' })
    const { rows } = await tier.sql.query('SELECT id FROM dead_letter_jobs WHERE job_id = $1', [jobId])
    const filter = { ids: [rows[0].id] }
    expect((await tier.ask(LETTERS, { filter }, owner)).data.deadLetters.totalCount).toBe(1)
    const strange = await tier.ask(LETTERS, { filter }, stranger)
    expect(strange.data).toEqual({ deadLetters: { totalCount: 0, nodes: [] }, deadLetterGroups: [] })
    const replay = await tier.ask(REPLAY, { input: { filter } }, stranger)
    expect(replay.data.replayDeadLetters).toMatchObject({ matched: 0, replayed: 0 })
    expect((await tier.sql.query('SELECT status FROM jobs WHERE id = $1', [jobId])).rows).toEqual([
      { status: 'failed' },
    ])
  })

  test('resolved ones are not replayed, and not everybody may', async () => {
    const code = async (input: object, caller = owner) =>
      (await tier.ask(REPLAY, { input }, caller)).errors?.[0]?.extensions.code
    expect(await code({ filter: { isResolved: true } })).toBe('INVALID_INPUT')
    expect(await code({ filter: { tenantId: rival } })).toBe('FORBIDDEN')
    expect(await code({}, userOf(demo, 'manager'))).toBe('FORBIDDEN')
    expect(await code({}, SUPPORT)).toBe('FORBIDDEN')
  })
})
