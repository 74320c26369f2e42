import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { v4 as randomUUID, v7 as uuidv7 } from 'uuid'
import { eventually } from '../support/eventually.ts'
import { RIVAL, START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../support/graph.ts'
import { foundTenant, type TestTenant } from '../support/tenants.ts'
import { recordSentMail } from './sentMail.ts'

const sentId = uuidv7()
let platform: TestPlatform
let demo: TestTenant
let rival: TestTenant

beforeAll(async () => {
  platform = await startPlatform({ worker: true })
  const oltp = platform.tierClient('oltp')
  demo = await foundTenant(oltp, 'demo')
  rival = await foundTenant(oltp, 'rival')
  await recordSentMail(oltp, demo, sentId)
  await platform.settle()
}, START_TIMEOUT_MS)
afterAll(() => platform?.stop())

describe('one question crosses all four tiers', () => {
  test('the published query answers campaigns with facts, jobs, messages and their bodies', async () => {
    const query = await readFile('operations/crossTierCampaigns.graphql', 'utf8')
    const { data, errors } = await platform.ask(query)
    expect(errors).toBeUndefined()
    expect(data.campaigns.nodes).toEqual([
      {
        id: demo.campaignId,
        name: 'demo campaign',
        status: 'DRAFT',
        analytics: { sent: 1, delivered: 1, openedTracked: 1, replied: 0, asOf: expect.stringMatching(/^20\d\d-.*Z$/) },
        jobs: { nodes: Array(3).fill({ id: expect.any(String), jobType: 'rollUpEvents', status: 'COMPLETED' }) },
        messages: {
          nodes: [
            {
              id: sentId,
              subject: 'Hello Lea',
              status: 'OPENED',
              content: {
                text: expect.stringContaining('Hello there.'),
                rawSizeBytes: expect.any(Number),
                storedSizeBytes: expect.any(Number),
                attachments: [],
              },
            },
          ],
        },
      },
    ])
  })

  test("a campaign's figures stand beside it, so that campaigns can be ordered by them", async () => {
    const query = `{ campaigns(orderBy: { field: REPLY_RATE }) { nodes { id
      metrics { sent delivered opened replied replyRate asOf } analytics { sent delivered replied } } } }`
    const ask = async () => (await platform.ask(query)).data.campaigns.nodes
    // Each event may be counted by a job of its own, and the figures brought over in between.
    const [campaign] = await eventually(ask, ([{ metrics }]) => metrics.sent > 0 && metrics.delivered > 0, 30_000)
    // They may be brought over before the watermark has moved for the first time: 1970 then.
    const asOf = expect.stringMatching(/^\d{4}-.*Z$/)
    expect(campaign.analytics).toEqual({ sent: 1, delivered: 1, replied: 0 })
    expect(campaign.metrics).toEqual({
      sent: 1,
      delivered: 1,
      opened: expect.any(Number),
      replied: 0,
      replyRate: 0,
      asOf,
    })
  })

  test('the rival asks the same and gets its own campaign, empty', async () => {
    const { data } = await platform.ask(await readFile('operations/crossTierCampaigns.graphql', 'utf8'), {}, RIVAL)
    expect(data.campaigns.nodes).toHaveLength(1)
    expect(data.campaigns.nodes[0]).toMatchObject({
      name: 'rival campaign',
      analytics: { sent: 0 },
      jobs: { nodes: [] },
      messages: { nodes: [] },
    })
  })
})

describe('references between tiers resolve in both directions', () => {
  test('campaign to its analytics and back', async () => {
    const query = 'query ($id: ID!) { campaign(id: $id) { analytics { sent campaign { id name } } } }'
    const { data, errors } = await platform.ask(query, { id: demo.campaignId })
    expect(errors).toBeUndefined()
    expect(data.campaign.analytics.campaign).toEqual({ id: demo.campaignId, name: 'demo campaign' })
  })

  test('message to its content and back', async () => {
    const query = 'query ($id: ID!) { message(id: $id) { content { storageKey messages { id subject } } } }'
    const { data, errors } = await platform.ask(query, { id: sentId })
    expect(errors).toBeUndefined()
    expect(data.message.content.messages).toEqual([{ id: sentId, subject: 'Hello Lea' }])
  })

  test('content of another tenant is as absent as content that does not exist', async () => {
    const { data } = await platform.ask('query ($id: ID!) { message(id: $id) { contentStorageKey } }', { id: sentId })
    const query = 'query ($key: ID!) { contentObject(storageKey: $key) { text messages { id } } }'
    const theirs = await platform.ask(query, { key: data.message.contentStorageKey }, RIVAL)
    const nobodys = await platform.ask(query, { key: 'mail/none' }, RIVAL)
    expect(theirs.data).toEqual({ contentObject: null })
    expect({ data: theirs.data, errors: theirs.errors }).toEqual({ data: nobodys.data, errors: nobodys.errors })
  })

  test('job to the message it works for, resolved by the tier that owns messages', async () => {
    const { data, errors } = await platform.ask(`{
      jobs(first: 5, filter: { jobType: "rollUpEvents" }) { nodes { queue { name } subject { __typename ... on InboxMessageRef { id subject campaign { name } } } } }
    }`)
    expect(errors).toBeUndefined()
    expect(data.jobs.nodes).toHaveLength(3)
    for (const job of data.jobs.nodes) {
      expect(job).toEqual({
        queue: { name: 'analytics-processing' },
        subject: {
          __typename: 'InboxMessageRef',
          id: sentId,
          subject: 'Hello Lea',
          campaign: { name: 'demo campaign' },
        },
      })
    }
  })

  test('message to its jobs and its events', async () => {
    const query = `query ($id: ID!) { message(id: $id) {
      jobs(first: 10) { nodes { status } } events(first: 10) { nodes { eventType } } } }`
    const { data, errors } = await platform.ask(query, { id: sentId })
    expect(errors).toBeUndefined()
    expect(data.message.jobs.nodes).toHaveLength(3)
    expect(data.message.events.nodes.map((event: { eventType: string }) => event.eventType).sort()).toEqual([
      'DELIVERED',
      'OPENED',
      'SENT',
    ])
  })
})

describe('ten thousand representations in one request', () => {
  const QUERY = `query ($representations: [_Any!]!) {
    _entities(representations: $representations) { ... on Campaign { id PART } }
  }`
  const PARTS = { oltp: 'name', analytics: 'analytics { sent }', queue: 'jobs(first: 1) { totalCount }' } as const

  test.each(Object.keys(PARTS) as (keyof typeof PARTS)[])(
    'are answered by %s, a rival’s as if it did not exist',
    async (tier) => {
      const ids = Array.from({ length: 9_998 }, () => randomUUID())
      const all = [demo.campaignId, rival.campaignId, ...ids]
      const representations = all.map((id) => ({ __typename: 'Campaign', id }))
      const startedAt = performance.now()
      const query = QUERY.replace('PART', PARTS[tier])
      const { data, errors } = await platform.askTier(tier, query, platform.callerHeader(tier), { representations })
      // One question to the database a batch, not one an id; a machine at work elsewhere takes a few seconds for that.
      expect(performance.now() - startedAt).toBeLessThan(20_000)
      expect(errors).toBeUndefined()
      const [own, others, unknown] = data._entities
      expect(own).toMatchObject({ id: demo.campaignId })
      const withoutId = (row: object | null) => row && { ...row, id: undefined }
      expect(withoutId(others)).toEqual(withoutId(unknown))
      expect(data._entities).toHaveLength(10_000)
    },
  )
})
