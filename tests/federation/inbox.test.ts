import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { mailWithFiles } from '../integration/content/mails.ts'
import { eventually } from '../support/eventually.ts'
import { DEMO, RIVAL, START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../support/graph.ts'
import { makeBounce, makeMail } from '../support/mails.ts'
import { foundTenant, type TestTenant } from '../support/tenants.ts'
import { type Receiver, startReceiver } from './campaign/receiver.ts'
import { recordSentMail } from './sentMail.ts'

const INGEST = 'mutation ($input: IngestMessageInput!) { ingestMessage(input: $input) { message { id threadId } } }'
const RECORD = 'mutation ($input: RecordSentMessagesInput!) { recordSentMessages(input: $input) { status } }'

let platform: TestPlatform
let receiver: Receiver
let oltp: pg.Pool
let demo: TestTenant
let sentId: string
let answer: { id: string; threadId: string }

/** Asks one of the frontend's operations. */
function operate(name: string, variables: object = {}, as: Parameters<TestPlatform['ask']>[2] = DEMO) {
  return platform.ask(readFileSync(`operations/${name}.graphql`, 'utf8'), variables, as)
}
async function ingest(raw: string) {
  const { data, errors } = await platform.ask(INGEST, { input: { raw } })
  expect(errors).toBeUndefined()
  return data.ingestMessage.message
}
const role = (name: string) => ({ ...DEMO, roles: [name] })

beforeAll(async () => {
  platform = await startPlatform({ worker: true })
  receiver = await startReceiver()
  oltp = new pg.Pool({ connectionString: platform.databases.oltp.systemUrl })
  demo = await foundTenant(platform.tierClient('oltp'), 'demo')
  await foundTenant(platform.tierClient('oltp'), 'rival')
  const settings = { host: '127.0.0.1', port: receiver.port, secure: false, user: null }
  await oltp.query('UPDATE email_accounts SET smtp_settings = $2, vault_key_path = NULL WHERE id = $1', [
    demo.emailAccountId,
    JSON.stringify(settings),
  ])
  sentId = uuidv7()
  const messageId = await recordSentMail(platform.tierClient('oltp'), demo, sentId)
  answer = await ingest(
    makeMail({
      messageId: 'answer@lead.example',
      headers: { From: demo.leadEmail, To: demo.mailbox, Subject: 'Re: Hello Lea', 'In-Reply-To': `<${messageId}>` },
      body: 'Tell me more.',
    }),
  )
}, START_TIMEOUT_MS)
afterAll(async () => {
  await oltp?.end()
  await platform?.stop()
  await receiver?.close()
})

describe('the inbox', () => {
  test('shows conversations with the words of their last mail, to its tenant alone', async () => {
    const { data, errors } = await operate('conversations', { filter: { isUnread: true } })
    expect(errors).toBeUndefined()
    expect(data.conversations.nodes).toEqual([
      expect.objectContaining({
        ...{ id: sentId, correspondentEmail: demo.leadEmail, messageCount: 2, unreadCount: 1 },
        lead: expect.objectContaining({ id: demo.leadId, status: 'REPLIED' }),
        campaign: expect.objectContaining({ id: demo.campaignId }),
        lastMessage: expect.objectContaining({
          id: answer.id,
          content: { text: expect.stringContaining('Tell me more.') },
        }),
      }),
    ])
    expect((await operate('conversations', {}, RIVAL)).data.conversations.nodes).toEqual([])
  })

  test('shows one conversation with all its messages, their bodies and what became of them', async () => {
    const { data, errors } = await operate('conversation', { id: sentId })
    expect(errors).toBeUndefined()
    expect(data.conversation.messages.nodes).toMatchObject([
      { id: answer.id, direction: 'INBOUND', content: { text: expect.stringContaining('Tell me more.') } },
      { id: sentId, direction: 'OUTBOUND', status: 'REPLIED', content: { text: expect.any(String) } },
    ])
    expect((await operate('conversation', { id: sentId }, RIVAL)).data.conversation).toBeNull()
  })

  test('shows a message with its events, once they are counted', async () => {
    await platform.settle()
    const { data, errors } = await operate('message', { id: sentId })
    expect(errors).toBeUndefined()
    const types = data.message.events.nodes.map(({ eventType }: { eventType: string }) => eventType)
    expect(types.toSorted()).toEqual(['DELIVERED', 'OPENED', 'REPLIED', 'SENT'])
    expect((await operate('message', { id: sentId }, RIVAL)).data.message).toBeNull()
  })

  test('tells of recent replies', async () => {
    const { data } = await operate('recentReplies')
    expect(data.recentReplies.nodes).toMatchObject([{ id: answer.id, threadId: sentId, lead: { id: demo.leadId } }])
    expect((await operate('recentReplies', {}, RIVAL)).data.recentReplies.nodes).toEqual([])
  })

  test('is read by everyone in the tenant and changed by everyone but viewers', async () => {
    const changes: [string, object][] = [
      ['markConversationsRead', { ids: [sentId] }],
      ['starConversation', { ids: [sentId] }],
      ['archiveConversation', { ids: [sentId], isArchived: false }],
      ['markMessagesRead', { ids: [answer.id], isRead: false }],
    ]
    for (const name of ['viewer', 'employee', 'manager', 'admin', 'owner']) {
      const seen = await operate('conversation', { id: sentId }, role(name))
      expect(seen.data.conversation?.id).toBe(sentId)
      for (const [operation, input] of changes) {
        const { errors } = await operate(operation, { input }, role(name))
        expect([name, operation, errors?.[0]?.extensions.code]).toEqual([
          ...[name, operation, name === 'viewer' ? 'FORBIDDEN' : undefined],
        ])
      }
    }
    for (const [operation, input] of changes) {
      expect((await operate(operation, { input }, RIVAL)).errors?.[0]?.extensions.code).toBe('NOT_FOUND')
    }
  })
})

test('a reply leaves for its recipient in the conversation, and counts in no campaign’s figures', async () => {
  const sentBefore = await sentOfCampaign()
  const { data, errors } = await operate('reply', {
    input: { conversationId: sentId, text: 'Gladly: here is more.', idempotencyKey: 'more' },
  })
  expect(errors).toBeUndefined()
  const { id } = data.reply.message
  await eventually(
    () => operate('message', { id }),
    (told) => told.data.message.status === 'SENT',
  )
  expect(receiver.taken).toHaveLength(1)
  const [mail] = receiver.taken
  expect(mail).toMatchObject({ from: demo.mailbox, to: demo.leadEmail })
  expect(mail?.text).toMatch(/^Subject: Re: Hello Lea\r$/m)
  expect(mail?.text).toMatch(/^In-Reply-To: <answer@lead\.example>\r$/m)
  expect(mail?.text).toContain('Gladly: here is more.')
  await platform.settle()
  expect(await sentOfCampaign()).toBe(sentBefore)
  const conversation = await operate('conversation', { id: sentId })
  expect(conversation.data.conversation).toMatchObject({ messageCount: 3 })
})

async function sentOfCampaign(): Promise<number> {
  const query = 'query ($id: ID!) { campaign(id: $id) { analytics { sent } } }'
  return (await platform.ask(query, { id: demo.campaignId })).data.campaign.analytics.sent
}

test('too many bounces stop the mailbox: its owner is told, the audit log knows why, a review lets it go on', async () => {
  const ids = Array.from({ length: 20 }, () => uuidv7())
  const at = new Date(Date.now() - 3_600_000).toISOString()
  const items = ids.map((id) => {
    const headers = { From: demo.mailbox, To: `${id}@gone.example` }
    const raw = makeMail({ messageId: `${id.replaceAll('-', '')}@demo.example`, headers })
    return { tenantId: demo.tenantId, id, emailAccountId: demo.emailAccountId, raw, queuedAt: at, sentAt: at }
  })
  await platform.tierClient('oltp').request(RECORD, { input: { items } })
  for (const id of ids.slice(0, 3)) {
    const original = `${id.replaceAll('-', '')}@demo.example`
    await ingest(makeBounce({ original, recipient: `${id}@gone.example`, status: '5.1.1' }))
  }
  const MAILBOX = 'query ($id: ID!) { emailAccount(id: $id) { status pausedReason } }'
  const mailbox = async () => (await platform.ask(MAILBOX, { id: demo.emailAccountId })).data.emailAccount
  // One more has left: the reply.
  const reason = '3 of 21 mails bounced in the last 24 hours (14.29 %, limit 10 %)'
  expect(await mailbox()).toEqual({ status: 'SUSPENDED', pausedReason: reason })
  const refused = await operate('reply', { input: { conversationId: sentId, text: 'Once more' } })
  expect(refused.errors?.[0]?.extensions.code).toBe('CONFLICT')

  const TOLD = '{ notifications { nodes { type message } } }'
  const told = await eventually(
    () => platform.ask(TOLD),
    ({ data }) => data.notifications.nodes.some(({ type }: { type: string }) => type === 'mailbox_suspended'),
  )
  expect(told.data.notifications.nodes).toContainEqual({ type: 'mailbox_suspended', message: `${reason}.` })
  expect((await platform.ask(TOLD, {}, RIVAL)).data.notifications.nodes).toEqual([])

  const input = { emailAccountId: demo.emailAccountId, note: 'the list was cleaned' }
  const by = (as: Parameters<TestPlatform['ask']>[2]) => operate('reactivateEmailAccount', { input }, as)
  expect((await by(role('manager'))).errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  expect((await by(RIVAL)).errors?.[0]?.extensions.code).toBe('NOT_FOUND')
  expect((await by(role('admin'))).data.reactivateEmailAccount.emailAccount).toMatchObject({
    status: 'ACTIVE',
    pausedReason: null,
  })
  const AUDIT = '{ auditLog { nodes { action notes newValues } } }'
  const log = await eventually(
    () => platform.ask(AUDIT),
    ({ data }) =>
      ['emailAccount.suspend', 'emailAccount.reactivate'].every((wanted) =>
        data.auditLog.nodes.some(({ action }: { action: string }) => action === wanted),
      ),
  )
  expect(log.data.auditLog.nodes).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ action: 'emailAccount.reactivate', notes: input.note }),
      expect.objectContaining({
        action: 'emailAccount.suspend',
        newValues: { status: 'suspended', pausedReason: reason },
      }),
    ]),
  )
})

describe('an attachment', () => {
  const bytes = Buffer.from('name,city\nada,london\n')
  const at = (path: string) => new URL(path, platform.url)
  let attachment: { id: string; downloadPath: string }

  beforeAll(async () => {
    const file = {
      headers: ['Content-Type: text/csv; name=list.csv', 'Content-Transfer-Encoding: base64'],
      body: bytes.toString('base64'),
    }
    const { id } = await ingest(mailWithFiles(file).toString('base64'))
    const query = 'query ($id: ID!) { message(id: $id) { content { attachments { id } } } }'
    const [{ id: attachmentId }] = (await platform.ask(query, { id })).data.message.content.attachments
    attachment = (await operate('attachmentDownload', { id: attachmentId })).data.attachment
  })

  test('comes down as it came in, by its signed address alone, and that it did is written down', async () => {
    const got = await fetch(at(attachment.downloadPath))
    expect(got.status).toBe(200)
    expect(got.headers.get('content-disposition')).toContain('attachment; filename="list.csv"')
    expect(Buffer.from(await got.arrayBuffer())).toEqual(bytes)
    const log = await eventually(
      async () =>
        (await platform.ask('{ contentAccessLog { nodes { accessType bytes } } }')).data.contentAccessLog.nodes,
      (nodes) => nodes.some(({ accessType }: { accessType: string }) => accessType === 'DOWNLOAD'),
    )
    expect(log).toContainEqual({ accessType: 'DOWNLOAD', bytes: bytes.length })
  })

  test('of another tenant is none, and an address that was changed leads nowhere', async () => {
    expect((await operate('attachmentDownload', { id: attachment.id }, RIVAL)).data).toEqual({ attachment: null })
    const [body = '', seal] = attachment.downloadPath.slice('/files/'.length).split('.')
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString())
    for (const change of [{ t: RIVAL.tenantId }, { d: 'get' }, { d: 'put' }, { e: claims.e + 1 }]) {
      const changed = Buffer.from(JSON.stringify({ ...claims, ...change })).toString('base64url')
      expect((await fetch(at(`/files/${changed}.${seal}`))).status).toBe(404)
    }
  })

  test('that a scanner has stopped has no address, and one given out before leads nowhere', async () => {
    const content = new pg.Client(platform.databases.content.systemUrl)
    await content.connect()
    await content.query("UPDATE attachments SET scan_status = 'infected' WHERE id = $1", [attachment.id])
    await content.end()
    const { data } = await operate('attachmentDownload', { id: attachment.id })
    expect(data.attachment).toMatchObject({ filename: 'list.csv', downloadPath: null })
    expect((await fetch(at(attachment.downloadPath))).status).toBe(404)
  })
})
