import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { makeBounce, makeMail } from '../../support/mails.ts'
import { type OltpTier, SERVICE, STAFF, startOltpTier, userOf } from './oltpTier.ts'
import { foundTenant, type Workspace } from './workspace.ts'

let tier: OltpTier
let demo: Workspace
let rival: Workspace

beforeAll(async () => {
  tier = await startOltpTier({ content: true, maxMessageBytes: 400_000 })
})
afterAll(() => tier?.stop())

const FIELDS = `id direction messageType status parseStatus fromEmail toEmail subject threadId rfc822MessageId
  contentStorageKey hasAttachments emailAccount { id } campaign { id } step { id } lead { id } parent { id }`
const INGEST = `mutation ($input: IngestMessageInput!) {
  ingestMessage(input: $input) { duplicate message { ${FIELDS} } }
}`

async function ingest(input: { raw: string; emailAccountId?: string; idempotencyKey?: string }, workspace = demo) {
  const answer = await tier.ask(INGEST, { input }, userOf(workspace.tenantId))
  return { ...answer.data?.ingestMessage, code: answer.errors?.[0]?.extensions.code }
}

async function count(workspace: Workspace) {
  const where = { tenantId: workspace.tenantId }
  return {
    messages: await tier.db.system.inboxMessageRef.count({ where }),
    events: await tier.db.system.outboxEvent.count({ where }),
  }
}

async function eventsOf(workspace: Workspace) {
  const events = await tier.announced(workspace.tenantId)
  return events.map(({ eventType, aggregateId, payload }) => ({ eventType, aggregateId, payload: payload as object }))
}

const SENT = `mutation ($input: RecordSentMessagesInput!) { recordSentMessages(input: $input) { id status } }`

/** A mail the campaign has sent; answers its Message-ID. */
async function send(id: string, workspace = demo) {
  const messageId = `${id}@${workspace.domain}`
  const raw = makeMail({ messageId, headers: { From: `sales@${workspace.domain}`, To: 'lead@customer.example' } })
  const { tenantId, campaignId, stepId, leadId, mailboxId: emailAccountId } = workspace
  const item = { tenantId, id, campaignId, stepId, leadId, emailAccountId, raw }
  const times = {
    queuedAt: '2026-11-20T22:00:00Z',
    sentAt: '2026-11-20T22:59:00Z',
    deliveredAt: '2026-11-20T23:30:00Z',
  }
  const answer = await tier.ask(SENT, { input: { items: [{ ...item, ...times }] } }, SERVICE)
  expect(answer).toEqual({ data: { recordSentMessages: [{ id, status: 'RECORDED' }] } })
  return messageId
}

beforeAll(async () => {
  demo = await foundTenant(tier)
  rival = await foundTenant(tier)
})

describe('a mail that comes in', () => {
  test('becomes one message with its content, and is announced once', async () => {
    const to = `Somebody <nobody@else.example>, Sales <SALES@${demo.domain}>`
    const answer = await ingest({ raw: makeMail({ messageId: 'one@x', headers: { To: to } }) })
    expect(answer).toEqual({
      code: undefined,
      duplicate: false,
      message: {
        id: expect.any(String),
        direction: 'INBOUND',
        messageType: 'EMAIL',
        status: 'RECEIVED',
        parseStatus: 'PARSED',
        fromEmail: 'someone@elsewhere.example',
        toEmail: 'nobody@else.example',
        subject: 'A question',
        threadId: answer.message.id,
        rfc822MessageId: 'one@x',
        contentStorageKey: expect.stringMatching(/^mail\/[0-9a-f]{64}$/),
        hasAttachments: false,
        emailAccount: { id: demo.mailboxId },
        campaign: null,
        step: null,
        lead: null,
        parent: null,
      },
    })
    const events = await eventsOf(demo)
    expect(events).toEqual([
      {
        eventType: 'email.received',
        aggregateId: answer.message.id,
        payload: expect.objectContaining({
          eventType: 'received',
          messageId: answer.message.id,
          emailAccountId: demo.mailboxId,
          domainId: demo.domainId,
          companyId: demo.companyId,
        }),
      },
    ])
  })

  test('the same mail again is a duplicate and writes nothing', async () => {
    const raw = makeMail()
    const first = await ingest({ raw })
    const before = await count(demo)
    const again = await ingest({ raw })
    expect(again).toEqual({ code: undefined, duplicate: true, message: first.message })
    expect(await count(demo)).toEqual(before)
  })

  test('ten times at once it is still one message', async () => {
    const before = await count(demo)
    const raw = makeMail()
    const answers = await Promise.all(Array.from({ length: 10 }, () => ingest({ raw })))
    expect(answers.filter(({ duplicate }) => duplicate === false)).toHaveLength(1)
    expect(new Set(answers.map(({ message }) => message.id)).size).toBe(1)
    expect(await count(demo)).toEqual({ messages: before.messages + 1, events: before.events + 1 })
  })

  test('in another mailbox, and for another tenant, it is a message of its own', async () => {
    const raw = makeMail()
    const first = await ingest({ raw })
    const elsewhere = await ingest({ raw, emailAccountId: demo.pausedMailboxId })
    const foreign = await ingest({ raw }, rival)
    expect([first, elsewhere, foreign].map(({ duplicate }) => duplicate)).toEqual([false, false, false])
    expect(elsewhere.message.emailAccount.id).toBe(demo.pausedMailboxId)
    expect(foreign.message.emailAccount.id).toBe(rival.mailboxId)
    expect(foreign.message.contentStorageKey).toBe(first.message.contentStorageKey)
  })

  test('goes to the mailbox named, else the recipient, else the oldest active one', async () => {
    const toPaused = { To: `old@${demo.domain}` }
    const named = await ingest({ raw: makeMail({ headers: toPaused }), emailAccountId: demo.mailboxId })
    const addressed = await ingest({ raw: makeMail({ headers: toPaused }) })
    const delivered = await ingest({ raw: makeMail({ headers: { 'Delivered-To': `old@${demo.domain}` } }) })
    const toNobody = await ingest({ raw: makeMail({ headers: { To: `sales@${rival.domain}` } }) })
    expect([named, addressed, delivered, toNobody].map(({ message }) => message.emailAccount.id)).toEqual([
      demo.mailboxId,
      demo.pausedMailboxId,
      demo.pausedMailboxId,
      demo.mailboxId,
    ])
  })

  test('from a lead it belongs to the lead', async () => {
    const headers = { From: `LEAD@customer-${demo.slug}.example` }
    expect((await ingest({ raw: makeMail({ headers }) })).message.lead).toEqual({ id: demo.leadId })
    expect((await ingest({ raw: makeMail({ headers }) }, rival)).message.lead).toBeNull()
  })
})

test('a reference is never written without its announcement: when that fails, the next attempt does both', async () => {
  const owner = new pg.Client({ connectionString: tier.databases[0]?.ownerUrl })
  await owner.connect()
  await owner.query(`
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'the disk is full'; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON outbox_events FOR EACH ROW EXECUTE FUNCTION refuse();`)
  const before = await count(demo)
  const raw = makeMail()
  expect((await ingest({ raw })).code).toBe('INTERNAL')
  expect(await count(demo)).toEqual(before)
  await owner.query('DROP TRIGGER refuse ON outbox_events; DROP FUNCTION refuse()')
  await owner.end()
  expect(await ingest({ raw })).toMatchObject({ duplicate: false, code: undefined })
  expect(await count(demo)).toEqual({ messages: before.messages + 1, events: before.events + 1 })
})

describe('an answer', () => {
  test('joins the conversation by In-Reply-To, belongs to the campaign, and counts as a reply', async () => {
    const id = '01930000-0000-7000-8000-00000000aa01'
    const messageId = await send(id)
    const answer = await ingest({ raw: makeMail({ headers: { 'In-Reply-To': `<${messageId}>` } }) })
    expect(answer.message).toMatchObject({
      threadId: id,
      parent: { id },
      campaign: { id: demo.campaignId },
      step: { id: demo.stepId },
      lead: { id: demo.leadId },
    })
    const sent = await tier.db.system.inboxMessageRef.findFirst({ where: { id } })
    expect(sent).toMatchObject({ status: 'replied', repliedAt: expect.any(Date) })
    const events = await eventsOf(demo)
    expect(events.filter(({ aggregateId }) => aggregateId === id).map(({ eventType }) => eventType)).toEqual([
      'email.sent',
      'email.delivered',
      'email.replied',
    ])
    const replied = events.find(({ aggregateId, eventType }) => aggregateId === id && eventType === 'email.replied')
    expect(replied?.payload).toMatchObject({ messageId: id, campaignId: demo.campaignId, stepId: demo.stepId })
  })

  test('is found by the newest of its References when In-Reply-To is missing', async () => {
    const older = await ingest({ raw: makeMail({ messageId: 'older@x' }) })
    const newer = await ingest({ raw: makeMail({ messageId: 'newer@x' }) })
    const answer = await ingest({ raw: makeMail({ headers: { References: '<older@x> <newer@x> <unknown@x>' } }) })
    expect(answer.message.parent).toEqual({ id: newer.message.id })
    const next = await ingest({ raw: makeMail({ headers: { 'In-Reply-To': '<older@x>', References: '<newer@x>' } }) })
    expect(next.message.parent).toEqual({ id: older.message.id })
  })

  test("to another tenant's mail begins a conversation of its own and changes nothing of theirs", async () => {
    const id = '01930000-0000-7000-8000-00000000aa02'
    const messageId = await send(id)
    const answer = await ingest({ raw: makeMail({ headers: { 'In-Reply-To': `<${messageId}>` } }) }, rival)
    expect(answer.message).toMatchObject({ threadId: answer.message.id, parent: null, campaign: null })
    const sent = await tier.db.system.inboxMessageRef.findFirst({ where: { id } })
    expect(sent?.status).toBe('delivered')
  })

  test('of a machine is no reply', async () => {
    const id = '01930000-0000-7000-8000-00000000aa03'
    const messageId = await send(id)
    const headers = { 'In-Reply-To': `<${messageId}>`, 'Auto-Submitted': 'auto-replied', Subject: 'Out of office' }
    const answer = await ingest({ raw: makeMail({ headers }) })
    expect(answer.message).toMatchObject({ messageType: 'AUTO_REPLY', parent: { id } })
    expect((await eventsOf(demo)).map(({ eventType }) => eventType).at(-1)).toBe('email.received')
    expect((await tier.db.system.inboxMessageRef.findFirst({ where: { id } }))?.status).toBe('delivered')
  })

  test('that reports a bounce turns the mail to bounced, once', async () => {
    const id = '01930000-0000-7000-8000-00000000aa04'
    const original = await send(id)
    const report = { original, recipient: 'lead@customer.example', status: '5.1.1' }
    const first = await ingest({ raw: makeBounce(report) })
    const second = await ingest({ raw: makeBounce(report) })
    expect(first.message).toMatchObject({ messageType: 'BOUNCE', parent: { id }, lead: { id: demo.leadId } })
    expect(second.message).toMatchObject({ messageType: 'BOUNCE', parent: { id } })
    const sent = await tier.db.system.inboxMessageRef.findFirst({ where: { id } })
    expect(sent).toMatchObject({ status: 'bounced', bounceType: 'hard', bouncedAt: expect.any(Date) })
    const bounces = (await eventsOf(demo)).filter(({ eventType }) => eventType === 'email.bounced')
    expect(bounces.map(({ aggregateId, payload }) => ({ aggregateId, payload }))).toEqual([
      { aggregateId: id, payload: expect.objectContaining({ messageId: id, bounceType: 'hard' }) },
    ])
  })
})

describe('bad mail', () => {
  test('of 0 bytes, over the limit, or not in base64 is refused and leaves nothing', async () => {
    const before = await count(demo)
    expect((await ingest({ raw: '' })).code).toBe('INVALID_INPUT')
    expect((await ingest({ raw: '*not base64*' })).code).toBe('INVALID_INPUT')
    expect((await ingest({ raw: Buffer.alloc(400_001, 'a').toString('base64') })).code).toBe('LIMIT_REACHED')
    expect(await count(demo)).toEqual(before)
  })

  test('for a mailbox that is not ours, absent, or no id at all is refused and leaves nothing', async () => {
    const before = [await count(demo), await count(rival)]
    const raw = makeMail()
    const absent = '01930000-0000-7000-8000-00000000dead'
    expect((await ingest({ raw, emailAccountId: rival.mailboxId })).code).toBe('NOT_FOUND')
    expect((await ingest({ raw, emailAccountId: absent })).code).toBe('NOT_FOUND')
    expect((await ingest({ raw, emailAccountId: 'x' })).code).toBe('INVALID_INPUT')
    expect([await count(demo), await count(rival)]).toEqual(before)
  })

  test('of a tenant that does not exist is refused', async () => {
    const answer = await tier.ask(
      INGEST,
      { input: { raw: makeMail() } },
      userOf('01930000-0000-7000-8000-00000000dead'),
    )
    expect(answer.errors?.[0]?.extensions.code).toBe('NOT_FOUND')
  })

  const hostile: Record<string, string> = {
    'a file that is no mail': Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13]).toString(
      'base64',
    ),
    'a single null byte': Buffer.from([0]).toString('base64'),
    'null bytes in every header': makeMail({ messageId: 'n\0@x', headers: { Subject: 'a\0b', From: 'a\0@b.example' } }),
    'bytes that are no UTF-8': makeMail({ headers: { Subject: '\xff\xfe\xed\xa0\x80 raw', To: '\xff@\xfe' } }),
    'an unknown charset': makeMail({ headers: { Subject: '=?x-klingon?B?aGVsbG8=?=' } }),
    'a lone surrogate, encoded': makeMail({ headers: { Subject: '=?utf-16le?B?ANg=?=' } }),
    'no Message-ID': makeMail({ messageId: null }),
    'a Message-ID too long to index': makeMail({ messageId: `${'m'.repeat(20_000)}@x` }),
    'References without end': makeMail({ headers: { References: '<r@x> '.repeat(20_000) } }),
    'a subject without end': makeMail({ headers: { Subject: 's'.repeat(100_000) } }),
    'ten thousand headers': makeMail({
      headers: Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`X-Filler-${n}`, String(n)])),
    }),
    'thousands of recipients': makeMail({
      headers: { To: Array.from({ length: 5_000 }, (_, n) => `p${n}@x.example`).join(',\r\n ') },
    }),
  }

  test.each(Object.keys(hostile))('is kept all the same: %s', async (name) => {
    const raw = hostile[name] ?? ''
    const answer = await ingest({ raw })
    expect(answer).toMatchObject({ code: undefined, duplicate: false, message: { status: 'RECEIVED' } })
    expect(await ingest({ raw })).toMatchObject({ duplicate: true, message: { id: answer.message.id } })
  })

  test('with a Message-ID too long to index can still be answered', async () => {
    const messageId = `${'q'.repeat(900)}@x`
    const first = await ingest({ raw: makeMail({ messageId }) })
    const answer = await ingest({ raw: makeMail({ headers: { 'In-Reply-To': `<${messageId}>` } }) })
    expect(answer.message.parent).toEqual({ id: first.message.id })
  })
})

describe('an idempotency key', () => {
  test('gives the first answer again, also to requests that come at once', async () => {
    const input = { raw: makeMail(), idempotencyKey: 'key-1' }
    const answers = await Promise.all(Array.from({ length: 5 }, () => ingest(input)))
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1)
    expect(answers[0]).toMatchObject({ duplicate: false, code: undefined })
    expect(await ingest(input)).toEqual(answers[0])
  })

  test('with another mail is a conflict; another tenant is not concerned', async () => {
    await ingest({ raw: makeMail(), idempotencyKey: 'key-2' })
    expect((await ingest({ raw: makeMail(), idempotencyKey: 'key-2' })).code).toBe('CONFLICT')
    expect((await ingest({ raw: makeMail(), idempotencyKey: 'key-2' }, rival)).code).toBeUndefined()
  })

  test('is empty or endless: invalid input', async () => {
    expect((await ingest({ raw: makeMail(), idempotencyKey: ' ' })).code).toBe('INVALID_INPUT')
    expect((await ingest({ raw: makeMail(), idempotencyKey: 'k'.repeat(201) })).code).toBe('INVALID_INPUT')
  })
})

test('viewers, staff and services take in no mail', async () => {
  for (const caller of [userOf(demo.tenantId, { roles: ['viewer'] }), STAFF, SERVICE]) {
    const answer = await tier.ask(INGEST, { input: { raw: makeMail() } }, caller)
    expect(answer.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  }
})

test('while the content tier is away nothing is written, and the caller is told so', async () => {
  await tier.stopContent()
  const before = await count(demo)
  expect((await ingest({ raw: makeMail() })).code).toBe('UNAVAILABLE')
  expect(await count(demo)).toEqual(before)
})
