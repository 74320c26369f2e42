import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { z } from 'zod'
import type { TokenSubject } from '#platform/caller/developmentToken.ts'
import { parseConfig } from '#platform/config.ts'
import { workerConfig } from '../../../subgraphs/queue/config.ts'
import type { PlatformTask } from '../../../subgraphs/queue/tasks/services.ts'
import { buildWorker } from '../../../subgraphs/queue/workerApp.ts'
import { readApiSchema } from '../../support/apiSchema.ts'
import { type OpenStreamOptions, openStream, type StreamEvent, type TestStream } from '../../support/eventStream.ts'
import { DEMO, RIVAL, START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../../support/graph.ts'
import { makeMail } from '../../support/mails.ts'
import { foundTenant, type TestTenant } from '../../support/tenants.ts'

const STAFF: TokenSubject = { kind: 'staff', tenantId: null, userId: null, roles: ['operator'] }

/** Says how far it is, step by step, as it is let. */
const steps: (() => void)[] = []
const stepping: PlatformTask = {
  jobType: 'stepping',
  queueName: 'billing-sync',
  payload: z.unknown(),
  async run([item], { report }) {
    for (const percentage of [30, 60]) {
      if (item) report(item.job, percentage, `at ${percentage}`)
      await new Promise<void>((resolve) => steps.push(resolve))
    }
    return undefined
  },
}

let platform: TestPlatform
let demo: TestTenant
let rival: TestTenant
let closeWorker = async () => {}
const open: TestStream[] = []

beforeAll(async () => {
  platform = await startPlatform()
  demo = await foundTenant(platform.tierClient('oltp'), 'demo')
  rival = await foundTenant(platform.tierClient('oltp'), 'rival')
  const config = parseConfig(workerConfig, { ...platform.settings.worker, WORKER_POLL_MS: '50' })
  closeWorker = buildWorker(config, { tasks: [stepping] }).close
}, START_TIMEOUT_MS)
afterEach(async () => {
  for (const stream of open.splice(0)) await stream.close()
})
afterAll(async () => {
  await closeWorker()
  await platform?.stop()
})

const documentOf = (name: string) =>
  readFileSync(new URL(`../../../operations/${name}.graphql`, import.meta.url), 'utf8')

async function subscribe(name: string, options: OpenStreamOptions = {}): Promise<TestStream> {
  const stream = await openStream(platform, documentOf(name), options)
  expect(stream.response.status).toBe(200)
  open.push(stream)
  return stream
}

async function enqueue(tenantId: string, job: object = {}): Promise<string> {
  const whole = {
    ...{ tenantId, source: 'test', key: randomUUID(), queueName: 'billing-sync', jobType: 'stepping', payload: {} },
    ...job,
  }
  const text = 'mutation ($jobs: [EnqueueJobInput!]!) { enqueueJobs(jobs: $jobs) { jobId error } }'
  type Answer = { enqueueJobs: { jobId: string; error: string | null }[] }
  const { enqueueJobs } = await platform.tierClient('queue').request<Answer>(text, { jobs: [whole] })
  expect(enqueueJobs).toEqual([{ jobId: expect.any(String), error: null }])
  return enqueueJobs[0]?.jobId ?? ''
}

async function ingest(to: TestTenant, body: string, as = DEMO) {
  const text = 'mutation ($input: IngestMessageInput!) { ingestMessage(input: $input) { message { id } } }'
  const raw = makeMail({ headers: { To: to.mailbox }, body })
  const { data, errors } = await platform.ask(text, { input: { raw } }, as)
  expect(errors).toBeUndefined()
  return data.ingestMessage.message.id as string
}

async function notify(tenantId: string, userId: string | null, title: string) {
  const text = 'mutation ($n: [DeliverNotificationInput!]!) { deliverNotifications(notifications: $n) { status } }'
  const notification = { key: randomUUID(), tenantId, userId, type: 'test', title, message: 'Hello.' }
  await platform.tierClient('content').request(text, { n: [notification] })
}

const LATER = '2100-01-01T00:00:00Z'

describe('jobProgress', () => {
  test('tells how a job stands, how far its task is, and how it ended', async () => {
    const id = await enqueue(demo.tenantId)
    const stream = await subscribe('jobProgress', { variables: { id } })
    const told: [string, number | null][] = []
    for (;;) {
      const { data, errors } = await stream.next()
      expect(errors).toBeUndefined()
      const { status, progressPercentage } = data.jobProgress
      told.push([status, progressPercentage])
      if (status === 'COMPLETED') break
      if (told.some(([, percentage]) => percentage === 30)) steps.shift()?.()
    }
    expect(told).toEqual(
      expect.arrayContaining([
        ['PROCESSING', 30],
        ['PROCESSING', 60],
        ['COMPLETED', 100],
      ]),
    )
    expect(new Set(told.map(String)).size).toBe(told.length)
  })

  test("another tenant's job is as one that is not there, and stays so whatever becomes of it", async () => {
    const id = await enqueue(rival.tenantId, { runAt: LATER })
    const foreign = await subscribe('jobProgress', { variables: { id } })
    const absent = await subscribe('jobProgress', { variables: { id: randomUUID() } })
    const own = await subscribe('jobProgress', { variables: { id }, as: RIVAL })
    expect((await own.next()).data.jobProgress).toMatchObject({ id, status: 'QUEUED' })
    expect([await foreign.next(), await absent.next()]).toEqual([
      { data: { jobProgress: null } },
      { data: { jobProgress: null } },
    ])
    await platform.ask('mutation ($id: ID!) { cancelJob(input: { id: $id }) { job { id } } }', { id }, RIVAL)
    expect((await own.next()).data.jobProgress.status).toBe('CANCELLED')
    expect(await foreign.within(300)).toEqual([])
    expect(await absent.within(10)).toEqual([])
  })
})

describe('queueDepths', () => {
  const pendingOf = (answer: StreamEvent['data']) =>
    answer?.data.queueDepths.find(({ name }: { name: string }) => name === 'billing-sync').pending

  test("counts the tenant's own jobs alone, and staff's all", async () => {
    const ours = await subscribe('queueDepths')
    const theirs = await subscribe('queueDepths', { as: RIVAL })
    const before = pendingOf(await ours.next())
    const theirsBefore = pendingOf(await theirs.next())
    await enqueue(demo.tenantId, { runAt: LATER })
    // Other queues' depths may be told in between: what tenants do is recorded by jobs of their own.
    let pending = before
    while (pending === before) pending = pendingOf(await ours.next())
    expect(pending).toBe(before + 1)
    for (const { data } of await theirs.within(300)) expect(pendingOf(data)).toBe(theirsBefore)
    const staff = await subscribe('queueDepths', { as: STAFF })
    expect(pendingOf(await staff.next())).toBeGreaterThan(before)
  })
})

describe('campaignProgress', () => {
  test("tells how a campaign's mail goes out, and what is done with the campaign", async () => {
    const stream = await subscribe('campaignProgress', { variables: { id: demo.campaignId } })
    const foreign = await subscribe('campaignProgress', { variables: { id: demo.campaignId }, as: RIVAL })
    const first = (await stream.next()).data.campaignProgress
    expect(first).toMatchObject({ status: 'DRAFT', sendProgress: { queued: 0 } })
    expect((await foreign.next()).data).toEqual({ campaignProgress: null })
    const mail = { queueName: 'email-sending', jobType: 'sendMessage', campaignId: demo.campaignId, runAt: LATER }
    await enqueue(demo.tenantId, mail)
    expect((await stream.next()).data.campaignProgress.sendProgress.queued).toBe(1)
    expect(await foreign.within(300)).toEqual([])
  })

  test('tells of what is done with the campaign', async () => {
    const text = 'subscription ($id: ID!) { campaignProgress(id: $id) { name } }'
    const stream = await openStream(platform, text, { variables: { id: demo.campaignId } })
    open.push(stream)
    await stream.next()
    const rename =
      'mutation ($id: ID!) { updateCampaign(input: { campaignId: $id, name: "Spring" }) { campaign { name } } }'
    expect((await platform.ask(rename, { id: demo.campaignId })).errors).toBeUndefined()
    expect((await stream.next()).data).toEqual({ campaignProgress: { name: 'Spring' } })
  })
})

describe('messageReceived', () => {
  test('tells of each mail with what was asked of it, across tiers, and of nobody else’s', async () => {
    const stream = await subscribe('messageReceived')
    const foreign = await subscribe('messageReceived', { as: RIVAL })
    const id = await ingest(demo, 'For the stream.')
    const told = await stream.next()
    expect(told.errors).toBeUndefined()
    expect(told.data.messageReceived).toMatchObject({ id, toEmail: demo.mailbox })
    expect(told.data.messageReceived.content.text).toContain('For the stream.')
    expect(told.id).toBe(told.extensions?.eventId)
    const theirs = await ingest(rival, 'For the rival.', RIVAL)
    expect((await foreign.next()).data.messageReceived.id).toBe(theirs)
    expect(await stream.within(300)).toEqual([])
  })

  test('is not for staff', async () => {
    const { response, refusal } = await openStream(platform, documentOf('messageReceived'), { as: STAFF })
    expect([response.status, refusal]).toEqual([
      403,
      { errors: [expect.objectContaining({ extensions: expect.objectContaining({ code: 'FORBIDDEN' }) })] },
    ])
  })
})

describe('notificationReceived', () => {
  test('tells a user what is for this user, and nobody else', async () => {
    const stream = await subscribe('notificationReceived')
    const colleague = { ...DEMO, userId: randomUUID() }
    const others = [
      await subscribe('notificationReceived', { as: colleague }),
      await subscribe('notificationReceived', { as: { ...RIVAL, userId: DEMO.userId } }),
    ]
    await notify(demo.tenantId, DEMO.userId, 'For Ada')
    expect((await stream.next()).data.notificationReceived).toMatchObject({ title: 'For Ada', isRead: false })
    for (const other of others) expect(await other.within(300)).toEqual([])
    await notify(demo.tenantId, colleague.userId, 'For another')
    expect((await others[0]?.next())?.data.notificationReceived.title).toBe('For another')
    expect(await stream.within(300)).toEqual([])
  })

  test('tells staff what is in their shared inbox', async () => {
    const stream = await subscribe('notificationReceived', { as: STAFF })
    const { STAFF_INBOX } = await import('#platform/contracts/notification.ts')
    await notify(STAFF_INBOX.tenantId, STAFF_INBOX.userId, 'For all of you')
    expect((await stream.next()).data.notificationReceived.title).toBe('For all of you')
  })
})

test('every subscription that there is has a document, and a test above', () => {
  const fields = Object.keys(readApiSchema().getSubscriptionType()?.getFields() ?? {})
  expect(fields.sort()).toEqual([
    ...['campaignProgress', 'jobProgress', 'messageReceived', 'notificationReceived', 'queueDepths'],
  ])
  for (const name of fields) expect(documentOf(name)).toContain(`\n  ${name}`)
})

test('a burst of changes is an answer a second', async () => {
  const began = performance.now()
  const stream = await subscribe('queueDepths')
  await stream.next()
  const text = 'mutation ($jobs: [EnqueueJobInput!]!) { enqueueJobs(jobs: $jobs) { status } }'
  const job = { tenantId: demo.tenantId, source: 'burst', queueName: 'billing-sync', jobType: 'stepping', payload: {} }
  const burst = async () => {
    for (let round = 0; round < 10; round += 1) {
      const jobs = Array.from({ length: 1_000 }, () => ({ ...job, key: randomUUID(), runAt: LATER }))
      await platform.tierClient('queue').request(text, { jobs })
    }
  }
  const follow = async () => {
    for (let answers = 1; ; answers += 1) {
      const { data } = await stream.next()
      const { pending } = data.queueDepths.find(({ name }: { name: string }) => name === 'billing-sync')
      if (pending >= 10_000) return answers
    }
  }
  const [answers] = await Promise.all([follow(), burst()])
  // They lie a second apart, however many changes there are.
  expect(answers).toBeLessThanOrEqual((performance.now() - began) / 1000 + 1)
}, 120_000)
