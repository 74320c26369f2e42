import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { eventually } from '../support/eventually.ts'
import { RIVAL, START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../support/graph.ts'
import { makeBounce, makeMail } from '../support/mails.ts'
import { foundTenant, type TestTenant } from '../support/tenants.ts'
import { recordSentMail } from './sentMail.ts'

const INGEST = `mutation ($input: IngestMessageInput!) { ingestMessage(input: $input) {
  duplicate message { id direction messageType status parseStatus threadId campaign { id } lead { id } content { storageKey text } } } }`
const MAILBOX_FACTS = 'query ($id: ID!) { emailAccount(id: $id) { analytics { received } } }'
const CAMPAIGN_FACTS = 'query ($id: ID!) { campaign(id: $id) { analytics { sent replied bounced } } }'

let platform: TestPlatform
let demo: TestTenant

beforeAll(async () => {
  platform = await startPlatform({ worker: true })
  demo = await foundTenant(platform.tierClient('oltp'), 'demo')
  await foundTenant(platform.tierClient('oltp'), 'rival')
}, START_TIMEOUT_MS)
afterAll(() => platform?.stop())

async function ingest(raw: string) {
  const { data, errors } = await platform.ask(INGEST, { input: { raw } })
  expect(errors).toBeUndefined()
  return data.ingestMessage
}
const received = async () =>
  (await platform.ask(MAILBOX_FACTS, { id: demo.emailAccountId })).data.emailAccount.analytics.received
const facts = async () => (await platform.ask(CAMPAIGN_FACTS, { id: demo.campaignId })).data.campaign.analytics

describe('a mail flows from raw bytes through all four tiers', () => {
  test('a reference, a content object, a completed job, an event and a daily fact; the repeat adds nothing', async () => {
    const raw = makeMail({ headers: { To: demo.mailbox } })
    const first = await ingest(raw)
    expect(first).toMatchObject({
      duplicate: false,
      message: { direction: 'INBOUND', messageType: 'EMAIL', status: 'RECEIVED', parseStatus: 'PARSED' },
    })
    expect(first.message.content.text).toContain('Hello there.')
    await eventually(received, (count) => count === 1)

    const again = await ingest(raw)
    expect(again.duplicate).toBe(true)
    expect(again.message.id).toBe(first.message.id)
    await ingest(makeMail({ headers: { To: demo.mailbox }, body: 'Another.' }))
    await eventually(received, (count) => count === 2)
  })

  test('ten simultaneous deliveries of one mail are one message and one event', async () => {
    const before = await received()
    const raw = makeMail({ headers: { To: demo.mailbox }, body: 'All at once.' })
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => ingest(raw)))
    expect(new Set(outcomes.map(({ message }) => message.id)).size).toBe(1)
    expect(outcomes.filter(({ duplicate }) => !duplicate)).toHaveLength(1)
    await eventually(received, (count) => count === before + 1)
    await platform.settle()
    expect(await received()).toBe(before + 1)
  })

  test('a reply finds its campaign, lead and conversation, and counts as one', async () => {
    const sentId = uuidv7()
    const messageId = await recordSentMail(platform.tierClient('oltp'), demo, sentId)
    const sent = await platform.ask('query ($id: ID!) { message(id: $id) { threadId } }', { id: sentId })
    const { message } = await ingest(
      makeMail({ headers: { From: demo.leadEmail, To: demo.mailbox, 'In-Reply-To': `<${messageId}>` } }),
    )
    expect(message).toMatchObject({
      threadId: sent.data.message.threadId,
      campaign: { id: demo.campaignId },
      lead: { id: demo.leadId },
    })
    await eventually(facts, ({ replied }) => replied === 1)
  })

  test('a delivery report turns the mail it is about into a bounced one', async () => {
    const sentId = uuidv7()
    const original = await recordSentMail(platform.tierClient('oltp'), demo, sentId)
    const { message } = await ingest(makeBounce({ original, recipient: demo.leadEmail, status: '5.1.1' }))
    expect(message).toMatchObject({ messageType: 'BOUNCE', campaign: { id: demo.campaignId } })
    const sent = await platform.ask('query ($id: ID!) { message(id: $id) { status } }', { id: sentId })
    expect(sent.data.message.status).toBe('BOUNCED')
    await eventually(facts, ({ bounced }) => bounced === 1)
  })

  test('an automatic answer is recognised and is no reply', async () => {
    const original = await recordSentMail(platform.tierClient('oltp'), demo, uuidv7())
    const before = await facts()
    const { message } = await ingest(
      makeMail({
        headers: {
          From: demo.leadEmail,
          To: demo.mailbox,
          'In-Reply-To': `<${original}>`,
          'Auto-Submitted': 'auto-replied',
          Subject: 'Out of office',
        },
      }),
    )
    expect(message.messageType).toBe('AUTO_REPLY')
    await platform.settle()
    expect((await facts()).replied).toBe(before.replied)
  })

  test('mail waits while the queue is down and is counted when it is back', async () => {
    const before = await received()
    await platform.stopTier('queue')
    await ingest(makeMail({ headers: { To: demo.mailbox }, body: 'While the queue was away.' }))
    await platform.startTier('queue')
    await eventually(received, (count) => count === before + 1)
  })
})

describe('audit entries and notifications travel the same way', () => {
  test('creating a campaign is audited once, with the one who did it', async () => {
    const create = `mutation ($input: CreateCampaignInput!) { createCampaign(input: $input) { campaign { id name status } } }`
    const input = { companyId: demo.companyId, name: 'Audited', idempotencyKey: 'audited-1' }
    const first = await platform.ask(create, { input })
    const again = await platform.ask(create, { input })
    expect(again.data).toEqual(first.data)
    const { id } = first.data.createCampaign.campaign
    const log = '{ auditLog(first: 10) { nodes { action resourceType resourceId actor { email } position } } }'
    const entries = await eventually(
      async () => (await platform.ask(log)).data.auditLog.nodes,
      (nodes) => nodes.length > 0,
    )
    expect(entries).toEqual([
      expect.objectContaining({ resourceType: 'Campaign', resourceId: id, actor: { email: 'ada@demo.example' } }),
    ])
    const theirs = await platform.ask(log, {}, RIVAL)
    expect(theirs.data.auditLog.nodes).toEqual([])
  })

  test('a notification asked for in a transaction reaches the user once', async () => {
    const { audit: _audit, notify } = await import('#platform/outbox/announce.ts')
    const { DEMO_OWNERS } = await import('#platform/contracts/demo.ts')
    const client = new pg.Client(platform.databases.oltp.systemUrl)
    await client.connect()
    await notify(client, {
      tenantId: demo.tenantId,
      userId: DEMO_OWNERS.demo.id,
      type: 'test',
      title: 'Hi',
      message: 'There',
    })
    await client.end()
    const query = '{ notifications(first: 10) { nodes { title message isRead } } }'
    const nodes = await eventually(
      async () => (await platform.ask(query)).data.notifications.nodes,
      (found) => found.length > 0,
    )
    expect(nodes).toEqual([{ title: 'Hi', message: 'There', isRead: false }])
    expect((await platform.ask(query, {}, RIVAL)).data.notifications.nodes).toEqual([])
  })
})
