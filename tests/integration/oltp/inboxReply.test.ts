import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { makeComplaint } from '../../support/mails.ts'
import { answerTo, ingest, leadEmail, messageIdOf, messageRow, sendMail } from './inboxMails.ts'
import { type OltpTier, SERVICE, startOltpTier, userOf } from './oltpTier.ts'
import { foundTenant, type Workspace } from './workspace.ts'

let tier: OltpTier
let content: pg.Client
let demo: Workspace
let rival: Workspace

beforeAll(async () => {
  tier = await startOltpTier({ content: true })
  rival = await foundTenant(tier)
  content = new pg.Client({ connectionString: tier.databases[1]?.systemUrl })
  await content.connect()
})
beforeEach(async () => {
  demo = await foundTenant(tier)
})
afterAll(async () => {
  await content?.end()
  await tier?.stop()
})

const REPLY = `mutation ($input: ReplyInput!) { reply(input: $input) { message {
  id direction status threadId fromEmail toEmail subject rfc822MessageId hasAttachments isRead
  parent { id } lead { id } campaign { id } emailAccount { id } queuedAt } } }`

async function reply(input: object, as = userOf(demo.tenantId)) {
  const answer = await tier.ask(REPLY, { input: { text: 'Thank you.', ...input } }, as)
  return { code: answer.errors?.[0]?.extensions.code, ...answer.data?.reply.message }
}

/** A conversation that the lead has answered in: the campaign's mail and the answer. */
async function converse(headers: Record<string, string> = {}) {
  const id = await sendMail(tier, demo)
  const { message } = await ingest(
    tier,
    demo,
    answerTo(id, demo, { 'Message-ID': `<${uuidv7()}@customer.example>`, ...headers }),
  )
  return { id, answerId: message.id as string }
}

/** What the content tier read in a mail that it keeps. */
async function envelopeOf(id: string) {
  const { contentStorageKey } = await messageRow(tier, id)
  const { rows } = await content.query(
    'SELECT envelope FROM content_objects WHERE tenant_id = $1 AND storage_key = $2',
    [demo.tenantId, contentStorageKey],
  )
  return rows[0]?.envelope
}

const counts = async (workspace = demo) => {
  const where = { tenantId: workspace.tenantId }
  return [await tier.db.system.inboxMessageRef.count({ where }), await tier.db.system.outboxEvent.count({ where })]
}

describe('reply', () => {
  test('is queued in the conversation, answers the last mail that came in, and is announced', async () => {
    const { id, answerId } = await converse()
    const answered = await messageRow(tier, answerId)
    const message = await reply({ conversationId: id })
    expect(message).toEqual({
      ...{ code: undefined, id: expect.any(String), direction: 'OUTBOUND', status: 'QUEUED', threadId: id },
      ...{ fromEmail: `sales@${demo.domain}`, toEmail: leadEmail(demo), subject: 'Re: An offer' },
      ...{ rfc822MessageId: messageIdOf(message.id, demo), hasAttachments: false, isRead: true },
      // What a person writes counts in no campaign's figures.
      ...{ parent: { id: answerId }, lead: { id: demo.leadId }, campaign: null, emailAccount: { id: demo.mailboxId } },
      queuedAt: expect.any(String),
    })
    expect(await envelopeOf(message.id)).toMatchObject({
      messageId: `<${messageIdOf(message.id, demo)}>`,
      inReplyTo: [`<${answered.rfc822MessageId}>`],
      references: [`<${messageIdOf(id, demo)}>`, `<${answered.rfc822MessageId}>`],
      toEmails: [leadEmail(demo)],
    })
    const events = await tier.announced(demo.tenantId)
    expect(events.slice(-2)).toMatchObject([
      {
        eventType: 'mail.due',
        aggregateId: message.id,
        payload: { messageId: message.id, campaignId: null, emailAccountId: demo.mailboxId },
      },
      { eventType: 'audit.recorded', aggregateId: message.id, payload: { action: 'message.reply' } },
    ])
    const conversation = await tier.db.system.conversation.findFirstOrThrow({ where: { id } })
    expect(conversation).toMatchObject({ messageCount: 3, lastMessageId: message.id })
  })

  test('carries the conversation on: what the lead answers to it is no second reply to the campaign', async () => {
    const { id } = await converse()
    const ours = await reply({ conversationId: id })
    const next = await ingest(tier, demo, answerTo(null, demo, { 'In-Reply-To': `<${ours.rfc822MessageId}>` }))
    expect(next.message).toMatchObject({ threadId: id, parent: { id: ours.id }, campaign: { id: demo.campaignId } })
    const events = await tier.announced(demo.tenantId)
    expect(events.filter(({ eventType }) => eventType === 'email.replied')).toHaveLength(1)
  })

  test('goes where the answered mail wants it, with the references it came with', async () => {
    const { answerId } = await converse({ 'Reply-To': 'Desk <desk@customer.example>', References: '<a@x> <b@x>' })
    const answered = await messageRow(tier, answerId)
    const message = await reply({ messageId: answerId, html: '<p>Thank you.</p>' })
    expect(message).toMatchObject({ toEmail: 'desk@customer.example', parent: { id: answerId } })
    expect(await envelopeOf(message.id)).toMatchObject({
      references: ['<a@x>', '<b@x>', `<${answered.rfc822MessageId}>`],
      toEmails: ['desk@customer.example'],
    })
  })

  test('takes files along', async () => {
    const { id } = await converse()
    const attachments = [
      { filename: 'prices.txt', mimeType: 'text/plain', content: Buffer.from('1 €').toString('base64') },
    ]
    const message = await reply({ conversationId: id, attachments })
    expect(message.hasAttachments).toBe(true)
    expect((await envelopeOf(message.id)).hasAttachments).toBe(true)
  })

  test('with the same key is one reply, also at once; with another text the key is taken', async () => {
    const { id } = await converse()
    const input = { conversationId: id, idempotencyKey: 'once' }
    const messages = await Promise.all(Array.from({ length: 5 }, () => reply(input)))
    expect(new Set(messages.map((message) => message.id)).size).toBe(1)
    expect((await reply({ ...input, text: 'Something else' })).code).toBe('CONFLICT')
    const sent = { tenantId: demo.tenantId, threadId: id, direction: 'outbound' }
    expect(await tier.db.system.inboxMessageRef.count({ where: sent })).toBe(2)
  })

  test('may go out though caps are reached, and to someone who bounced or unsubscribed; not to one who complained', async () => {
    const { id } = await converse()
    await tier.db.system.emailAccount.updateMany({ where: { id: demo.mailboxId }, data: { dailyLimit: 0 } })
    const { tenantId } = demo
    const suppression = { tenantId, id: uuidv7(), email: leadEmail(demo), reason: 'unsubscribe' }
    await tier.db.system.suppression.create({ data: suppression })
    await tier.db.system.lead.updateMany({ where: { id: demo.leadId }, data: { status: 'unsubscribed' } })
    const message = await reply({ conversationId: id })
    const begin = `mutation ($input: BeginSendingInput!) { beginSending(input: $input) { outcome reason } }`
    const mails = [{ tenantId, messageId: message.id }]
    expect((await tier.ask(begin, { input: { mails } }, SERVICE)).data.beginSending).toEqual([
      { outcome: 'SEND', reason: null },
    ])

    await ingest(tier, demo, makeComplaint({ original: messageIdOf(id, demo), recipient: null }))
    expect((await reply({ conversationId: id })).code).toBe('CONFLICT')
  })

  test('is refused while the mailbox cannot send', async () => {
    const { id } = await converse()
    for (const status of ['paused', 'suspended', 'disconnected', 'pending']) {
      await tier.db.system.emailAccount.updateMany({ where: { id: demo.mailboxId }, data: { status } })
      expect((await reply({ conversationId: id })).code).toBe('CONFLICT')
    }
  })

  test('is refused, and leaves nothing, for what is not the tenant’s, not there, or makes no sense', async () => {
    const { id, answerId } = await converse()
    const before = [await counts(), await counts(rival)]
    const refusals: [object, string][] = [
      [{ conversationId: uuidv7() }, 'NOT_FOUND'],
      [{ messageId: uuidv7() }, 'NOT_FOUND'],
      [{ conversationId: 'x' }, 'INVALID_INPUT'],
      [{}, 'INVALID_INPUT'],
      [{ conversationId: id, messageId: answerId }, 'INVALID_INPUT'],
      [{ messageId: id }, 'CONFLICT'],
      [{ conversationId: id, text: '  ' }, 'INVALID_INPUT'],
      [{ conversationId: id, text: 'a\0b' }, 'INVALID_INPUT'],
      [{ conversationId: id, idempotencyKey: '' }, 'INVALID_INPUT'],
      [{ conversationId: id, attachments: [{ filename: '../x', content: 'eA==' }] }, 'INVALID_INPUT'],
      [{ conversationId: id, attachments: [{ filename: 'x', content: '*' }] }, 'INVALID_INPUT'],
      [{ conversationId: id, attachments: [{ filename: 'x', mimeType: 'a\r\nb', content: 'eA==' }] }, 'INVALID_INPUT'],
      [
        { conversationId: id, attachments: [{ filename: 'x', content: Buffer.alloc(900_000).toString('base64') }] },
        'LIMIT_REACHED',
      ],
    ]
    for (const [input, code] of refusals) expect([input, (await reply(input)).code]).toEqual([input, code])
    expect((await reply({ conversationId: id }, userOf(rival.tenantId))).code).toBe('NOT_FOUND')
    expect((await reply({ messageId: answerId }, userOf(rival.tenantId))).code).toBe('NOT_FOUND')
    expect((await reply({ conversationId: id }, userOf(demo.tenantId, { roles: ['viewer'] }))).code).toBe('FORBIDDEN')
    expect([await counts(), await counts(rival)]).toEqual(before)
  })

  test('injects no header, whatever the answered mail says', async () => {
    const { id } = await converse({
      Subject: '=?utf-8?Q?Hello=0D=0ABcc:_victim@x.example?=',
      From: `=?utf-8?Q?Lee=0D=0ABcc:_victim@x.example?= <${leadEmail(demo)}>`,
    })
    const message = await reply({ conversationId: id })
    expect(message).toMatchObject({ code: undefined, toEmail: leadEmail(demo) })
    expect((await envelopeOf(message.id)).toEmails).toEqual([leadEmail(demo)])
  })
})
