// biome-ignore-all lint/suspicious/noExplicitAny: answers are whatever was asked for
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { countStatements } from '#platform/database/statementCount.ts'
import { failJobs } from '../../../subgraphs/queue/engine/acknowledge.ts'
import { claimJobs } from '../../../subgraphs/queue/engine/claim.ts'
import { demo, enqueue, makeWorker, request, rival, until } from './queueDatabase.ts'
import { OLTP, OPERATOR, type QueueTier, SUPPORT, startQueueTier, userOf } from './queueTier.ts'

let tier: QueueTier
const owner = userOf(demo, 'owner')
const stranger = userOf(rival, 'owner')
beforeAll(async () => {
  tier = await startQueueTier()
})
afterAll(() => tier.stop())

/** Jobs of the demo tenant that have failed for good. */
async function makeDeadLetters(count: number, changes: object = {}): Promise<string[]> {
  const jobs = Array.from({ length: count }, () =>
    request({ queueName: 'content-archival', maxAttempts: 1, ...changes }),
  )
  const ids = await enqueue(tier.sql, ...jobs)
  const workerId = await makeWorker(tier.sql)
  const claim = await claimJobs(tier.sql, { workerId, queueName: 'content-archival', limit: 100, leaseMs: 60_000 })
  const failure = {
    message: 'disk full',
    details: { name: 'Error' },
    fingerprint: 'disk',
    permanent: true,
    durationMs: 5,
  }
  await failJobs(
    tier.sql,
    (claim?.jobs ?? []).map((job) => ({ ...job, ...failure })),
  )
  return ids
}

const announced = async (tenantId: string, action: string) => {
  const { rows } = await tier.sql.query<{ payload: Record<string, unknown> }>(
    `SELECT payload FROM jobs WHERE tenant_id = $1 AND job_type = 'recordAudit' AND payload->>'action' = $2`,
    [tenantId, action],
  )
  return rows.map(({ payload }) => payload)
}

describe('reading jobs', () => {
  const JOB = `query ($id: ID!) { job(id: $id) { id jobType status priority attemptCount maxAttempts lastErrorMessage runAt
    queue { name isActive pending processing failedLast24h oldestPendingSeconds }
    subject { __typename ... on Campaign { id } ... on ContentObject { storageKey } }
    logs { attemptNumber level message durationMs } } }`

  test('a job tells its queue, its subject and its story', async () => {
    const campaignId = randomUUID()
    const [id] = await makeDeadLetters(1, { subjectTypename: 'Campaign', subjectId: campaignId })
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

describe('what the tier adds to other tiers’ entities', () => {
  const ENTITIES = `query ($of: [_Any!]!) { _entities(representations: $of) {
    ... on Campaign { id jobs(first: 3) { totalCount nodes { id status queue { name } logs { message } } } sendProgress { queued sending sent failed ratePerMinute eta } }
    ... on InboxMessageRef { id jobs { nodes { id } } }
    ... on TransactionalEmail { job { id } }
    ... on Domain { monitoring { nodes { id } } }
    ... on SmtpIpAddress { monitoring { nodes { id } } }
    ... on Tenant { jobs(first: 1) { totalCount } }
    ... on Job { id status } } }`

  test('each entity finds its own jobs, and only the tenant’s', async () => {
    const [campaign, message, email, domain] = Array.from({ length: 4 }, () => randomUUID())
    const monitored = { queueName: 'infrastructure-monitoring', subjectTypename: 'Domain', subjectId: domain }
    const [a, b, c, d] = await enqueue(
      tier.sql,
      request({ campaignId: campaign, queueName: 'email-sending' }),
      request({ subjectTypename: 'InboxMessageRef', subjectId: message }),
      request({ subjectTypename: 'TransactionalEmail', subjectId: email }),
      request(monitored),
      request({ tenantId: rival, campaignId: campaign }),
      request({ ...monitored, queueName: 'billing-sync' }),
    )
    const of = [
      { __typename: 'Campaign', id: campaign },
      { __typename: 'InboxMessageRef', id: message },
      { __typename: 'TransactionalEmail', id: email },
      { __typename: 'Domain', id: domain },
      { __typename: 'Job', id: a },
      { __typename: 'Campaign', id: 'malformed' },
    ]
    const { data, errors } = await tier.ask(ENTITIES, { of }, owner)
    expect(errors).toBeUndefined()
    expect(data._entities).toMatchObject([
      {
        jobs: { totalCount: 1, nodes: [{ id: a, queue: { name: 'email-sending' } }] },
        sendProgress: { queued: 1, sent: 0, eta: null },
      },
      { jobs: { nodes: [{ id: b }] } },
      { job: { id: c } },
      { monitoring: { nodes: [{ id: d }] } },
      { id: a, status: 'QUEUED' },
      { jobs: { totalCount: 0, nodes: [] }, sendProgress: { queued: 0 } },
    ])
    const strange = await tier.ask(ENTITIES, { of }, stranger)
    expect(strange.data._entities).toMatchObject([
      { jobs: { totalCount: 1 }, sendProgress: { queued: 0 } },
      { jobs: { nodes: [] } },
      { job: null },
      { monitoring: { nodes: [] } },
      null,
      { jobs: { nodes: [] } },
    ])
    expect(strange.data._entities[0].jobs.nodes.map(({ id }: { id: string }) => id)).not.toContain(a)
  })

  test('a tenant’s jobs are its own; another tenant’s id has none', async () => {
    const of = [
      { __typename: 'Tenant', id: demo },
      { __typename: 'Tenant', id: rival },
    ]
    const { data } = await tier.ask(ENTITIES, { of }, owner)
    expect(data._entities[0].jobs.totalCount).toBeGreaterThan(0)
    expect(data._entities[1].jobs).toBeNull()
  })

  test('staff see the platform’s own checks of an address, tenants none', async () => {
    const address = randomUUID()
    const [id] = await enqueue(
      tier.sql,
      request({
        tenantId: '00000000-0000-0000-0000-000000000000',
        queueName: 'infrastructure-monitoring',
        subjectTypename: 'SmtpIpAddress',
        subjectId: address,
      }),
    )
    const of = [{ __typename: 'SmtpIpAddress', id: address }]
    const staff = await tier.ask(ENTITIES, { of }, SUPPORT)
    expect(staff.data._entities[0].monitoring.nodes).toEqual([{ id }])
    expect((await tier.ask(ENTITIES, { of }, owner)).data._entities[0].monitoring.nodes).toEqual([])
  })

  test('the progress of a campaign’s mail, with rate and end', async () => {
    const campaignId = randomUUID()
    const mails = (count: number) =>
      enqueue(tier.sql, ...Array.from({ length: count }, () => request({ campaignId, queueName: 'email-sending' })))
    const sent = await mails(20)
    await tier.sql.query(`UPDATE jobs SET status = 'completed', completed_at = now() WHERE id = ANY($1)`, [sent])
    await mails(4)
    const { data } = await tier.ask(ENTITIES, { of: [{ __typename: 'Campaign', id: campaignId }] }, owner)
    const { eta, ...progress } = data._entities[0].sendProgress
    expect(progress).toEqual({ queued: 4, sending: 0, sent: 20, failed: 0, ratePerMinute: 2 })
    expect(Math.round((new Date(eta).getTime() - Date.now()) / 60_000)).toBe(2)
  })

  test('100 campaigns with jobs, queues and logs cost as many statements as one', async () => {
    const campaigns = Array.from({ length: 100 }, () => randomUUID())
    await enqueue(tier.sql, ...campaigns.flatMap((campaignId) => [request({ campaignId }), request({ campaignId })]))
    const cost = async (ids: string[]) => {
      const of = ids.map((id) => ({ __typename: 'Campaign', id }))
      const { result, statements } = await countStatements(tier.db, () => tier.ask(ENTITIES, { of }, owner))
      expect(result.errors).toBeUndefined()
      expect(result.data._entities.every(({ jobs }: any) => jobs.totalCount === 2 && jobs.nodes.length === 2)).toBe(
        true,
      )
      return statements.filter((text) => !text.includes('outbox_events'))
    }
    const one = await cost(campaigns.slice(0, 1))
    const hundred = await cost(campaigns)
    expect(hundred.length).toBe(one.length)
    expect(hundred.length).toBeLessThanOrEqual(6)
  })
})

describe('changing jobs', () => {
  const RETRY = 'mutation ($id: ID!) { retryJob(input: { id: $id }) { job { id status attemptCount } } }'
  const CANCEL = 'mutation ($id: ID!) { cancelJob(input: { id: $id }) { job { id status } } }'
  const code = async (query: string, id: unknown, caller: typeof owner) =>
    (await tier.ask(query, { id }, caller)).errors?.[0]?.extensions.code

  test('a failed job is retried from its first attempt, its letter resolved, and the audit log is told', async () => {
    const [id] = await makeDeadLetters(1)
    const { data } = await tier.ask(RETRY, { id }, owner)
    expect(data.retryJob.job).toEqual({ id, status: 'QUEUED', attemptCount: 0 })
    const { rows } = await tier.sql.query('SELECT is_resolved, resolved_by FROM dead_letter_jobs WHERE job_id = $1', [
      id,
    ])
    expect(rows).toEqual([{ is_resolved: true, resolved_by: owner.userId }])
    const audits = await until(async () => {
      const all = await announced(demo, 'job.retried')
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

  test('a job in work or done is neither retried nor cancelled', async () => {
    const [id] = await enqueue(tier.sql, request({ queueName: 'content-archival' }))
    const workerId = await makeWorker(tier.sql)
    await claimJobs(tier.sql, { workerId, queueName: 'content-archival', limit: 1, leaseMs: 60_000 })
    expect(await code(RETRY, id, owner)).toBe('CONFLICT')
    expect(await code(CANCEL, id, owner)).toBe('CONFLICT')
    await tier.sql.query(`UPDATE jobs SET status = 'completed', lease_id = NULL WHERE id = $1`, [id])
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
    expect(await until(async () => (await announced(demo, 'job.cancelled')).length > 0)).toBe(true)
  })

  test('what keeps the audit log cannot be cancelled by those it keeps an eye on', async () => {
    const [id] = await enqueue(tier.sql, request({ jobType: 'recordAudit', queueName: 'analytics-processing' }))
    expect(await code(CANCEL, id, owner)).toBe('FORBIDDEN')
  })
})

describe('dead letters', () => {
  const LETTERS = `query ($filter: DeadLetterFilter) {
    deadLetters(filter: $filter) { totalCount nodes { id jobType failureReason finalAttempt isResolved job { id status } queue { name } resolvedBy { id } } }
    deadLetterGroups(filter: $filter) { errorFingerprint count failureReason queue { name } } }`
  const REPLAY = `mutation ($input: ReplayDeadLettersInput!) { replayDeadLetters(input: $input) {
    dryRun matched replayed deadLetters { id isResolved job { status } } } }`

  test('are listed, counted by cause, tried dry, replayed once and for all', async () => {
    const ids = await makeDeadLetters(3, { jobType: 'archive' })
    await makeDeadLetters(1, { jobType: 'archive', tenantId: rival })
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
      const all = await announced(demo, 'deadLetters.replayed')
      return all.length > 0 && all
    })
    expect(entry).toMatchObject({ resourceType: 'DeadLetter', newValues: { jobs: expect.any(Array) } })
  })

  test('another tenant’s are neither seen nor replayed, by filter or by id', async () => {
    const [jobId] = await makeDeadLetters(1, { jobType: 'private' })
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

describe('staff’s pages', () => {
  const PAGES = [
    '{ workers { totalCount nodes { id host queues processed } } }',
    '{ jobMetrics(range: { from: "2026-01-01T00:00:00Z", to: "2027-01-01T00:00:00Z" }) { completed queue { name } } }',
    '{ queueAlerts { totalCount nodes { name alertType severity queue { name } } } }',
    '{ queueAlertHistory { totalCount nodes { value alert { name queue { name } } } } }',
  ]
  test('are closed to tenants and services', async () => {
    for (const page of PAGES) {
      for (const caller of [owner, OLTP]) {
        expect((await tier.ask(page, {}, caller)).errors?.[0]?.extensions.code).toBe('FORBIDDEN')
      }
    }
  })

  test('show what is there, and that staff looked is recorded', async () => {
    const alertId = randomUUID()
    await tier.sql.query(
      `INSERT INTO queue_alerts (id, name, queue_name, alert_type, threshold) VALUES ($1, 'deep', 'billing-sync', 'high_pending', 10)`,
      [alertId],
    )
    await tier.sql.query(
      `INSERT INTO queue_alert_history (id, alert_id, value, message) VALUES ($1, $2, 12, 'too deep')`,
      [randomUUID(), alertId],
    )
    await tier.sql.query(
      `INSERT INTO job_metrics (granularity, bucket_at, queue_name, job_type, completed) VALUES ('hour', '2026-03-01', 'billing-sync', 'echo', 7)`,
    )
    const [workers, metrics, alerts, firings] = await Promise.all(PAGES.map((page) => tier.ask(page, {}, SUPPORT)))
    expect(workers?.data.workers.totalCount).toBeGreaterThan(0)
    expect(metrics?.data.jobMetrics).toEqual([{ completed: 7, queue: { name: 'billing-sync' } }])
    expect(alerts?.data.queueAlerts.nodes).toEqual([
      { name: 'deep', alertType: 'HIGH_PENDING', severity: 'WARNING', queue: { name: 'billing-sync' } },
    ])
    expect(firings?.data.queueAlertHistory.nodes).toEqual([
      { value: 12, alert: { name: 'deep', queue: { name: 'billing-sync' } } },
    ])
    await until(async () => (await announced('00000000-0000-0000-0000-000000000000', 'staff.read')).length > 0)
  })

  test('schedules are the tenant’s own', async () => {
    await tier.sql.query(
      `INSERT INTO scheduled_jobs (tenant_id, id, name, queue_name, job_type, cron_expression) VALUES ($1, $2, 'nightly', 'billing-sync', 'echo', '0 3 * * *')`,
      [demo, randomUUID()],
    )
    const LIST = '{ scheduledJobs { nodes { name cronExpression queue { name } } } }'
    expect((await tier.ask(LIST, {}, owner)).data.scheduledJobs.nodes).toEqual([
      { name: 'nightly', cronExpression: '0 3 * * *', queue: { name: 'billing-sync' } },
    ])
    expect((await tier.ask(LIST, {}, stranger)).data.scheduledJobs.nodes).toEqual([])
    expect((await tier.ask(LIST, {}, SUPPORT)).data.scheduledJobs.nodes).toHaveLength(1)
  })
})

describe('enqueueJobs', () => {
  const ENQUEUE = 'mutation ($jobs: [EnqueueJobInput!]!) { enqueueJobs(jobs: $jobs) { key jobId status error } }'

  test('answers for each job, for services only', async () => {
    const good = request({ runAt: '2030-01-01T00:00:00Z', priority: 7, campaignId: randomUUID() })
    const { data, errors } = await tier.ask(
      ENQUEUE,
      { jobs: [good, good, request({ key: 'k', queueName: 'nowhere' })] },
      OLTP,
    )
    expect(errors).toBeUndefined()
    expect(data.enqueueJobs).toEqual([
      { key: good.key, jobId: expect.any(String), status: 'ENQUEUED', error: null },
      { key: good.key, jobId: data.enqueueJobs[0].jobId, status: 'DUPLICATE', error: null },
      { key: 'k', jobId: null, status: 'REJECTED', error: 'there is no queue nowhere' },
    ])
    for (const caller of [owner, OPERATOR]) {
      expect((await tier.ask(ENQUEUE, { jobs: [good] }, caller)).errors?.[0]?.extensions.code).toBe('FORBIDDEN')
    }
    const tooMany = Array(1_001).fill(good)
    expect((await tier.ask(ENQUEUE, { jobs: tooMany }, OLTP)).errors?.[0]?.extensions.code).toBe('INVALID_INPUT')
  })
})
