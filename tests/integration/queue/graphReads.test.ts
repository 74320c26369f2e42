// biome-ignore-all lint/suspicious/noExplicitAny: answers are whatever was asked for
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { demo, enqueue, request, rival } from './queueDatabase.ts'
import { makeDeadLetters, OLTP, type QueueTier, SUPPORT, startQueueTier, userOf } from './queueTier.ts'

let tier: QueueTier
const owner = userOf(demo, 'owner')
const stranger = userOf(rival, 'owner')
beforeAll(async () => {
  tier = await startQueueTier()
})
afterAll(() => tier.stop())

describe('reading jobs', () => {
  const JOB = `query ($id: ID!) { job(id: $id) { id jobType status priority attemptCount maxAttempts lastErrorMessage runAt
    queue { name isActive pending processing failedLast24h oldestPendingSeconds }
    subject { __typename ... on Campaign { id } ... on ContentObject { storageKey } }
    logs { attemptNumber level message durationMs } } }`

  test('a job tells its queue, its subject and its story', async () => {
    const campaignId = randomUUID()
    const [id] = await makeDeadLetters(tier.sql, 1, { subjectTypename: 'Campaign', subjectId: campaignId })
    const { data, errors } = await tier.ask(JOB, { id }, owner)
    expect(errors).toBeUndefined()
    expect(data.job).toMatchObject({
      id,
      jobType: 'echo',
      status: 'FAILED',
      lastErrorMessage: 'disk full',
      queue: { name: 'content-archival', isActive: true, pending: 0, processing: 0, oldestPendingSeconds: null },
      subject: { __typename: 'Campaign', id: campaignId },
      logs: [{ attemptNumber: 1, level: 'ERROR', message: 'disk full', durationMs: 5 }],
    })
    expect(data.job.queue.failedLast24h).toBeGreaterThanOrEqual(1)
  })

  test('what it was told is for owners, admins and staff: it may be an audit entry, or another user’s notification', async () => {
    const payload = { action: 'secret.changed' }
    const [id] = await makeDeadLetters(tier.sql, 1, { jobType: 'recordAudit', payload })
    await tier.sql.query(`UPDATE jobs SET result = '{"a": 1}' WHERE id = $1`, [id])
    const READ = `query ($id: ID!) { job(id: $id) { payload result }
      deadLetters(filter: { jobType: "recordAudit" }) { nodes { payload } } }`
    for (const caller of [owner, userOf(demo, 'viewer', 'admin'), SUPPORT]) {
      const { data } = await tier.ask(READ, { id }, caller)
      expect(data).toEqual({ job: { payload, result: { a: 1 } }, deadLetters: { nodes: [{ payload }] } })
    }
    for (const role of ['manager', 'employee', 'viewer']) {
      const { data } = await tier.ask(READ, { id }, userOf(demo, role))
      expect(data).toEqual({ job: { payload: null, result: null }, deadLetters: { nodes: [{ payload: null }] } })
    }
  })

  test('a filter that no text in the database can match is the client’s fault', async () => {
    const JOBS = 'query ($filter: JobFilter) { jobs(filter: $filter) { totalCount nodes { id } } }'
    const GROUPS = 'query ($filter: DeadLetterFilter) { deadLetterGroups(filter: $filter) { count } }'
    for (const query of [JOBS, GROUPS]) {
      const { errors } = await tier.ask(query, { filter: { jobType: 'a\0b' } }, owner)
      expect(errors?.map(({ extensions }) => extensions.code)).toContain('INVALID_INPUT')
      expect(errors?.map(({ extensions }) => extensions.code)).not.toContain('INTERNAL')
    }
  })

  test('a subject that is no entity of the graph is null', async () => {
    const [a, b, c] = await enqueue(
      tier.sql,
      request({ subjectTypename: 'Query', subjectId: randomUUID() }),
      request({ subjectTypename: 'Lead', subjectId: 'not-an-id' }),
      request({ subjectTypename: 'ContentObject', subjectId: 'mail/abc' }),
    )
    expect((await tier.ask(JOB, { id: a }, owner)).data.job.subject).toBeNull()
    expect((await tier.ask(JOB, { id: b }, owner)).data.job.subject).toBeNull()
    expect((await tier.ask(JOB, { id: c }, owner)).data.job.subject).toEqual({
      __typename: 'ContentObject',
      storageKey: 'mail/abc',
    })
  })

  test('another tenant’s job, an unknown one and a malformed id read alike: null', async () => {
    const [id] = await enqueue(tier.sql, request())
    for (const [asked, caller] of [
      [id, stranger],
      [randomUUID(), owner],
      ['1', owner],
    ] as const) {
      expect(await tier.ask('query ($id: ID!) { job(id: $id) { id } }', { id: asked }, caller)).toEqual({
        data: { job: null },
      })
    }
  })

  test('lists are filtered, paged by stable cursors and counted', async () => {
    const correlationId = randomUUID()
    const ids = await enqueue(tier.sql, ...Array.from({ length: 5 }, () => request({ correlationId })))
    const LIST = `query ($after: String, $filter: JobFilter) { jobs(first: 2, after: $after, filter: $filter) {
      totalCount pageInfo { hasNextPage endCursor } nodes { id } edges { cursor node { id } } } }`
    const filter = { correlationId, status: ['QUEUED'], queueName: 'notification-delivery' }
    const seen: string[] = []
    let after: string | null = null
    do {
      const { data }: { data: any } = await tier.ask(LIST, { after, filter }, owner)
      expect(data.jobs.totalCount).toBe(5)
      seen.push(...data.jobs.nodes.map((job: { id: string }) => job.id))
      after = data.jobs.pageInfo.hasNextPage ? data.jobs.pageInfo.endCursor : null
    } while (after)
    expect(seen.toSorted()).toEqual(ids.toSorted())
    const other = await tier.ask(LIST, { filter }, stranger)
    expect(other.data.jobs).toMatchObject({ totalCount: 0, nodes: [] })
    const staff = await tier.ask(LIST, { filter }, SUPPORT)
    expect(staff.data.jobs).toMatchObject({ totalCount: 5 })
    const staffOnRival = await tier.ask(LIST, { filter: { ...filter, tenantId: rival } }, SUPPORT)
    expect(staffOnRival.data.jobs).toMatchObject({ totalCount: 0 })
  })

  test('bad arguments are refused with a code', async () => {
    const codes = async (query: string, caller = owner) =>
      (await tier.ask(query, {}, caller)).errors?.map(({ extensions }) => extensions.code)
    expect(await codes('{ jobs(first: 1000000000) { nodes { id } } }')).toEqual(['INVALID_INPUT'])
    expect(await codes('{ jobs(first: 0) { nodes { id } } }')).toEqual(['INVALID_INPUT'])
    expect(await codes('{ jobs(after: "nonsense") { nodes { id } } }')).toEqual(['INVALID_INPUT'])
    expect(await codes(`{ jobs(filter: { tenantId: "${rival}" }) { nodes { id } } }`)).toEqual(['FORBIDDEN'])
    expect(await codes('{ deadLetters(filter: { tenantId: "x" }) { nodes { id } } }')).toEqual(['FORBIDDEN'])
    expect(await codes('{ jobs { nodes { logs(first: 101) { id } } } }')).toContain('INVALID_INPUT')
    expect(await codes('{ jobs { nodes { id } } }', OLTP)).toEqual(['FORBIDDEN'])
  })
})

describe('queues', () => {
  test('count the tenant’s own jobs; for staff, all', async () => {
    const QUEUES = '{ queues { name pending processing failedLast24h } }'
    await enqueue(
      tier.sql,
      request({ queueName: 'billing-sync' }),
      request({ queueName: 'billing-sync', tenantId: rival }),
    )
    const pending = async (caller: typeof owner) => {
      const { data } = await tier.ask(QUEUES, {}, caller)
      expect(data.queues).toHaveLength(6)
      return data.queues.find(({ name }: { name: string }) => name === 'billing-sync').pending
    }
    expect(await pending(owner)).toBe(1)
    expect(await pending(stranger)).toBe(1)
    expect(await pending(SUPPORT)).toBe(2)
  })
})
