import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'
import { START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../support/graph.ts'
import { foundTenant } from '../support/tenants.ts'

/** Crosses every border at least once, in both directions where there are two. */
const CROSSING = `query crossing($key: ID!) {
  viewer { tenant { name } roles }
  campaigns { nodes { id name analytics { sent asOf } jobs { nodes { id } totalCount } } }
  messages { nodes { id subject status content { storageKey text rawSizeBytes } events { nodes { eventType } } jobs { nodes { id } } } }
  contentObject(storageKey: $key) { storageKey text attachments { filename } messages { id subject } }
  mailboxAnalytics(ids: []) { sent }
  analyticsWatermarks { pipeline }
  queues { name }
  jobs { nodes { id jobType subject { __typename ... on InboxMessageRef { id direction subject } } } }
}`

const MAIL = [
  'From: lea@lead-of-demo.example',
  'To: sales@demo.example',
  'Subject: A question',
  'Message-ID: <question@lead-of-demo.example>',
  '',
  'Does it fly?',
].join('\r\n')

// biome-ignore lint/suspicious/noExplicitAny: an answer's shape is the query's
type Answer = any

/** What is left of the whole answer when a tier is away: its own fields are null, every other one is as before. */
const WITHOUT: Record<Tier, (whole: Answer) => Answer> = {
  oltp: (whole) => ({
    ...whole,
    viewer: null,
    campaigns: null,
    messages: null,
    contentObject: { ...whole.contentObject, messages: null },
    // The subject's direction is known to oltp alone and never null: without it there is no subject.
    jobs: { nodes: whole.jobs.nodes.map((job: Answer) => ({ ...job, subject: null })) },
  }),
  content: (whole) => ({
    ...whole,
    messages: { nodes: whole.messages.nodes.map((message: Answer) => ({ ...message, content: null })) },
    contentObject: null,
  }),
  analytics: (whole) => ({
    ...whole,
    campaigns: { nodes: whole.campaigns.nodes.map((campaign: Answer) => ({ ...campaign, analytics: null })) },
    messages: { nodes: whole.messages.nodes.map((message: Answer) => ({ ...message, events: null })) },
    mailboxAnalytics: null,
    analyticsWatermarks: null,
  }),
  queue: (whole) => ({
    ...whole,
    campaigns: { nodes: whole.campaigns.nodes.map((campaign: Answer) => ({ ...campaign, jobs: null })) },
    messages: { nodes: whole.messages.nodes.map((message: Answer) => ({ ...message, jobs: null })) },
    queues: null,
    jobs: null,
  }),
}

let platform: TestPlatform
let key: string
let whole: Answer

beforeAll(async () => {
  platform = await startPlatform({ worker: true })
  await foundTenant(platform.tierClient('oltp'), 'demo')
  const raw = Buffer.from(MAIL).toString('base64')
  const { data, errors } = await platform.ask(
    'mutation ($raw: String!) { ingestMessage(input: { raw: $raw }) { message { contentStorageKey } } }',
    { raw },
  )
  expect(errors).toBeUndefined()
  key = data.ingestMessage.message.contentStorageKey
  await platform.settle()
  await platform.stopWorker()
}, START_TIMEOUT_MS)
afterAll(() => platform?.stop())

test('with all tiers up, one query is answered by all four', async () => {
  const { data, errors, extensions } = await platform.ask(CROSSING, { key })
  expect(errors).toBeUndefined()
  expect(extensions).toEqual({ requestId: expect.any(String) })
  expect(data).toMatchObject({
    viewer: { tenant: { name: 'demo' }, roles: ['OWNER'] },
    campaigns: { nodes: [{ name: 'demo campaign', analytics: { sent: 0 }, jobs: { nodes: [], totalCount: 0 } }] },
    messages: {
      nodes: [
        {
          subject: 'A question',
          status: 'RECEIVED',
          content: { storageKey: key, text: expect.stringContaining('Does it fly?') },
          events: { nodes: [{ eventType: 'RECEIVED' }] },
          jobs: { nodes: [{}] },
        },
      ],
    },
    contentObject: { storageKey: key, attachments: [], messages: [{ subject: 'A question' }] },
    jobs: { nodes: [{ jobType: 'rollUpEvents', subject: { __typename: 'InboxMessageRef', direction: 'INBOUND' } }] },
  })
  whole = data
})

describe.each(TIERS)('with %s down', (tier) => {
  beforeAll(() => platform.stopTier(tier))
  afterAll(() => platform.startTier(tier))

  test('its own fields are null and the rest of the answer arrives', async () => {
    const { status, data, errors, text } = await platform.ask(CROSSING, { key })
    expect(status).toBe(200)
    expect(data).toEqual(WITHOUT[tier](whole))
    expect(errors).toEqual([{ message: `the ${tier} tier does not answer`, extensions: { code: 'UNAVAILABLE', tier } }])
    for (const secret of ['127.0.0.1', 'ECONNREFUSED', 'http:', 'stack']) expect(text).not.toContain(secret)
  })
})

test('once back, a tier answers without anyone restarting the gateway', async () => {
  const { data, errors } = await platform.ask(CROSSING, { key })
  expect(errors).toBeUndefined()
  expect(data).toEqual(whole)
})

test('a mutation whose tier is down says UNAVAILABLE and does nothing', async () => {
  await platform.stopTier('oltp')
  const create =
    'mutation { createCampaign(input: { companyId: "x", name: "x", idempotencyKey: "x" }) { campaign { id } } }'
  const { data, errors } = await platform.ask(create)
  expect(data).toBeNull()
  expect(errors?.map((error) => error.extensions)).toEqual([{ code: 'UNAVAILABLE', tier: 'oltp' }])
  await platform.startTier('oltp')
})

test('the gateway starts, and answers what it can, with every tier down', async () => {
  const alone = await startPlatform({ tiers: [] })
  try {
    const { status, data, errors } = await alone.ask('{ __typename queues { name } viewer { roles } }')
    expect(status).toBe(200)
    expect(data).toEqual({ __typename: 'Query', queues: null, viewer: null })
    expect(errors?.map((error) => error.extensions.tier).sort()).toEqual(['oltp', 'queue'])
    const health = await fetch(alone.url.replace('graphql', 'health/ready'))
    expect(health.status).toBe(200)
  } finally {
    await alone.stop()
  }
})
