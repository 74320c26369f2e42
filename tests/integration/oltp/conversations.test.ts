import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { v7 as uuidv7 } from 'uuid'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { makeMail } from '../../support/mails.ts'
import { answerTo, ingest, leadEmail, messageRow, sendMail, withoutRelay } from './inboxMails.ts'
import { type OltpTier, startOltpTier, userOf } from './oltpTier.ts'
import { foundTenant, type Workspace } from './workspace.ts'

let tier: OltpTier
let demo: Workspace
let rival: Workspace

beforeAll(async () => {
  tier = await startOltpTier({ content: true })
  rival = await foundTenant(tier)
})
beforeEach(async () => {
  demo = await foundTenant(tier)
})
afterAll(() => tier?.stop())

const FIELDS = `id subject correspondentEmail messageCount unreadCount isStarred isArchived lastMessageAt
  emailAccount { id } campaign { id } lead { id } lastMessage { id }`

async function list(filter: object = {}, workspace = demo) {
  const query = `query ($filter: ConversationFilter) { conversations(filter: $filter) { totalCount nodes { ${FIELDS} } } }`
  const { data, errors } = await tier.ask(query, { filter }, userOf(workspace.tenantId))
  expect(errors).toBeUndefined()
  return data.conversations.nodes
}
const idsOf = async (filter: object = {}, workspace = demo) =>
  (await list(filter, workspace)).map(({ id }: { id: string }) => id)

async function find(id: string, workspace = demo) {
  const query = `query ($id: ID!) { conversation(id: $id) { ${FIELDS} messages { totalCount nodes { id } } } }`
  return (await tier.ask(query, { id }, userOf(workspace.tenantId))).data.conversation
}

/** A mail from a stranger, which begins a conversation; answers the conversation's id. */
async function write(subject: string, from = 'someone@elsewhere.example', workspace = demo): Promise<string> {
  const headers = { Subject: subject, From: from, To: `sales@${workspace.domain}` }
  return (await ingest(tier, workspace, makeMail({ headers }))).message.id
}

async function mark(field: string, input: object, as = userOf(demo.tenantId)) {
  const type = `${field[0]?.toUpperCase()}${field.slice(1)}Input`
  const payload =
    field === 'markMessagesRead' ? 'messages { id isRead }' : 'conversations { id unreadCount isStarred isArchived }'
  const answer = await tier.ask(`mutation ($input: ${type}!) { ${field}(input: $input) { ${payload} } }`, { input }, as)
  return answer.errors?.[0]?.extensions.code ?? answer.data[field]
}

/** Counted from the messages themselves: what the conversations must say. */
async function recount(workspace = demo) {
  const { rows } = await tier.db.systemSql.query(
    `SELECT thread_id AS id, count(*)::int AS "messageCount",
       (count(*) FILTER (WHERE direction = 'inbound' AND NOT is_read))::int AS "unreadCount",
       (array_agg(id ORDER BY created_at DESC, id DESC))[1] AS "lastMessageId"
     FROM inbox_message_refs WHERE tenant_id = $1 GROUP BY thread_id ORDER BY thread_id`,
    [workspace.tenantId],
  )
  return rows
}
const stored = async (workspace = demo) =>
  (await tier.db.system.conversation.findMany({ where: { tenantId: workspace.tenantId }, orderBy: { id: 'asc' } })).map(
    ({ id, messageCount, unreadCount, lastMessageId }) => ({ id, messageCount, unreadCount, lastMessageId }),
  )

/** Writes another mail of the thread, as who writes mail does: again if it gets in another's way. */
const followUp = (thread: string, { heldForSeconds = 0 } = {}) => {
  const { tenantId, mailboxId } = demo
  const insert = `INSERT INTO inbox_message_refs (tenant_id, id, email_account_id, thread_id, parent_message_id, dedup_key,
    direction, status, is_read) VALUES ($1, $2, $3, $4, $4, $5, 'outbound', 'sent', true)`
  const write = async (tx: Queryable) => {
    const id = uuidv7()
    await tx.query(insert, [tenantId, id, mailboxId, thread, id])
    await tx.query('SELECT pg_sleep($1)', [heldForSeconds])
  }
  return runAsTenant(tenantId, () => tier.db.tenantSql.transaction(write, { retries: 3 }))
}

describe('a conversation', () => {
  test('begins with the first answer, and holds what was written before', async () => {
    const id = await sendMail(tier, demo)
    expect(await list()).toEqual([])
    expect(await find(id)).toBeNull()
    const { message } = await ingest(tier, demo, answerTo(id, demo))
    expect(await find(id)).toEqual({
      ...{ id, subject: 'Re: An offer', correspondentEmail: leadEmail(demo), messageCount: 2, unreadCount: 1 },
      ...{ isStarred: false, isArchived: false, lastMessageAt: expect.any(String) },
      ...{ emailAccount: { id: demo.mailboxId }, campaign: { id: demo.campaignId }, lead: { id: demo.leadId } },
      lastMessage: { id: message.id },
      messages: { totalCount: 2, nodes: [{ id: message.id }, { id }] },
    })
    expect(await find(id, rival)).toBeNull()
    expect(await list({}, rival)).toEqual([])
  })

  test('counts exactly, whoever writes and reads at once', async () => {
    const id = await sendMail(tier, demo)
    const others = await Promise.all([write('One'), write('Two')])
    await Promise.all([
      ...Array.from({ length: 8 }, () => ingest(tier, demo, answerTo(id, demo))),
      ...Array.from({ length: 8 }, () => followUp(id)),
      ...Array.from({ length: 4 }, () => mark('markConversationsRead', { ids: [id] })),
      ...Array.from({ length: 4 }, () => mark('markConversationsRead', { ids: others })),
    ])
    const [conversation] = (await recount()).filter((row) => row.id === id)
    expect(conversation).toMatchObject({ messageCount: 17 })
    expect(await stored()).toEqual(await recount())
  })

  test('does not miss a mail that goes out while it begins', async () => {
    for (let round = 0; round < 5; round += 1) {
      const id = await sendMail(tier, demo, { stepId: null })
      await Promise.all([followUp(id, { heldForSeconds: 0.2 }), ingest(tier, demo, answerTo(id, demo))])
    }
    expect(await stored()).toEqual(await recount())
  })

  test('comes back from the archive when someone writes in it', async () => {
    const id = await sendMail(tier, demo)
    await ingest(tier, demo, answerTo(id, demo))
    await mark('archiveConversation', { ids: [id] })
    expect(await idsOf()).toEqual([])
    expect(await idsOf({ isArchived: true })).toEqual([id])
    await ingest(tier, demo, answerTo(id, demo))
    expect(await idsOf()).toEqual([id])
  })
})

describe('conversations', () => {
  test('are listed, the last one that something came up in first, page by page', async () => {
    const ids = []
    for (const subject of ['One', 'Two', 'Three']) ids.push(await write(subject))
    await ingest(tier, demo, makeMail({ headers: { To: `sales@${demo.domain}`, 'In-Reply-To': '<none@x>' } }))
    const query = `query ($after: String) { conversations(first: 2, after: $after) {
      nodes { id } pageInfo { hasNextPage endCursor } } }`
    const first = await tier.ask(query, {}, userOf(demo.tenantId))
    const { nodes, pageInfo } = first.data.conversations
    expect(pageInfo.hasNextPage).toBe(true)
    // What comes in meanwhile does not shift the next page.
    await write('Four')
    const second = await tier.ask(query, { after: pageInfo.endCursor }, userOf(demo.tenantId))
    expect([...nodes, ...second.data.conversations.nodes].map(({ id }) => id).slice(1)).toEqual(ids.toReversed())
    const foreign = await tier.ask(query, { after: pageInfo.endCursor }, userOf(rival.tenantId))
    expect(foreign.data.conversations.nodes).toEqual([])
  })

  test('are found by mailbox, campaign, lead, correspondent, period, star and what is not read', async () => {
    const sent = await sendMail(tier, demo)
    await ingest(tier, demo, answerTo(sent, demo))
    const other = await write('Question', 'Ann@other.example')
    await mark('markConversationsRead', { ids: [other] })
    await mark('starConversation', { ids: [other] })
    const now = Date.now()
    const period = { from: new Date(now - 60_000).toISOString(), to: new Date(now + 60_000).toISOString() }
    expect(await idsOf({ emailAccountId: demo.mailboxId })).toEqual([other, sent])
    expect(await idsOf({ emailAccountId: demo.pausedMailboxId })).toEqual([])
    expect(await idsOf({ campaignId: demo.campaignId })).toEqual([sent])
    expect(await idsOf({ leadId: demo.leadId })).toEqual([sent])
    expect(await idsOf({ correspondent: 'ANN@other.example' })).toEqual([other])
    expect(await idsOf({ isUnread: true })).toEqual([sent])
    expect(await idsOf({ isUnread: false })).toEqual([other])
    expect(await idsOf({ isStarred: true })).toEqual([other])
    expect(await idsOf({ period })).toEqual([other, sent])
    expect(await idsOf({ period: { ...period, from: '2020-01-01T00:00:00Z', to: '2020-02-01T00:00:00Z' } })).toEqual([])
    for (const filter of [{ campaignId: demo.campaignId }, { leadId: demo.leadId }, { emailAccountId: 'x' }]) {
      expect(await idsOf(filter, rival)).toEqual([])
    }
  })

  test('are searched by how subject or correspondent begin, whatever stands before the subject', async () => {
    const pricing = await write('RE: AW: Re[2]: Pricing & more')
    const percent = await write('100%_off')
    const ann = await write('Hello', 'ann.lee@other.example')
    const umlaut = await write('=?utf-8?Q?=C3=9Cber_uns?=')
    await write('Pricing', 'x@x.example', rival)
    expect(await idsOf({ search: 'pricing' })).toEqual([pricing])
    expect(await idsOf({ search: ' PRICING & ' })).toEqual([pricing])
    expect(await idsOf({ search: 'more' })).toEqual([])
    expect(await idsOf({ search: '100%_' })).toEqual([percent])
    expect(await idsOf({ search: '1_0' })).toEqual([])
    expect(await idsOf({ search: 'Ann.' })).toEqual([ann])
    expect(await idsOf({ search: 'ÜBER' })).toEqual([umlaut])
    const bad = await tier.ask(
      '{ conversations(filter: { search: "a\\u0000" }) { nodes { id } } }',
      {},
      userOf(demo.tenantId),
    )
    expect(bad.errors?.[0]?.extensions.code).toBe('INVALID_INPUT')
  })

  test('of a page with all that is in them cost as many statements as one', async () => {
    const query = `query ($first: Int!) { conversations(first: $first) { nodes { ${FIELDS} messages { nodes { id lead { id } } } } } }`
    const measure = async (first: number) => {
      const { result, statements } = await tier.db.statements.during(() =>
        tier.ask(query, { first }, userOf(demo.tenantId)),
      )
      expect(result.data.conversations.nodes).toHaveLength(first)
      return withoutRelay(statements).length
    }
    for (let n = 0; n < 12; n += 1) {
      const id = await sendMail(tier, demo, { stepId: null })
      await ingest(tier, demo, answerTo(id, demo))
    }
    expect(await measure(12)).toBe(await measure(1))
  })
})

test('recentReplies are what persons answered to campaigns, newest first', async () => {
  const id = await sendMail(tier, demo)
  const first = await ingest(tier, demo, answerTo(id, demo))
  await ingest(tier, demo, answerTo(id, demo, { 'Auto-Submitted': 'auto-replied' }))
  await write('Unrelated')
  const second = await ingest(tier, demo, answerTo(id, demo))
  const query = '{ recentReplies { nodes { id campaign { id } } } }'
  const { data } = await tier.ask(query, {}, userOf(demo.tenantId))
  const campaign = { id: demo.campaignId }
  expect(data.recentReplies.nodes).toEqual([
    { id: second.message.id, campaign },
    { id: first.message.id, campaign },
  ])
  expect((await tier.ask(query, {}, userOf(rival.tenantId))).data.recentReplies.nodes).toEqual([])
})

describe('marking', () => {
  const audited = async () =>
    (await tier.announced(demo.tenantId))
      .filter(({ eventType }) => eventType === 'audit.recorded')
      .map(({ aggregateId, payload }) => [(payload as { action: string }).action, aggregateId])

  test('conversations as read and not, with exact counts, audited where something changed', async () => {
    const [one, two] = [await write('One'), await write('Two')]
    const read = await mark('markConversationsRead', { ids: [one, two] })
    expect(read.conversations).toMatchObject([
      { id: one, unreadCount: 0 },
      { id: two, unreadCount: 0 },
    ])
    await mark('markConversationsRead', { ids: [two], isRead: true })
    const unread = await mark('markConversationsRead', { ids: [one], isRead: false })
    expect(unread.conversations).toMatchObject([{ id: one, unreadCount: 1 }])
    expect((await messageRow(tier, one)).isRead).toBe(false)
    expect(await audited()).toEqual([
      ['conversation.markRead', one],
      ['conversation.markRead', two],
      ['conversation.markRead', one],
    ])
    expect(await stored()).toEqual(await recount())
  })

  test('messages as read counts in their conversations', async () => {
    const id = await sendMail(tier, demo)
    const messages = []
    for (let n = 0; n < 3; n += 1) messages.push((await ingest(tier, demo, answerTo(id, demo))).message.id)
    await mark('markMessagesRead', { ids: messages.slice(0, 2) })
    expect(await find(id)).toMatchObject({ unreadCount: 1 })
    // One of ours is read, whatever anyone says.
    const answer = await mark('markMessagesRead', { ids: [messages[0], id], isRead: false })
    expect(answer.messages).toEqual([
      { id: messages[0], isRead: false },
      { id, isRead: true },
    ])
    expect(await find(id)).toMatchObject({ unreadCount: 2 })
    expect(await stored()).toEqual(await recount())
  })

  test('stars and puts away conversations and their mail', async () => {
    const id = await sendMail(tier, demo)
    const { message } = await ingest(tier, demo, answerTo(id, demo))
    await mark('starConversation', { ids: [id] })
    expect([(await messageRow(tier, id)).isStarred, (await messageRow(tier, message.id)).isStarred]).toEqual([
      false,
      true,
    ])
    await mark('starConversation', { ids: [id], isStarred: false })
    expect((await messageRow(tier, message.id)).isStarred).toBe(false)
    await mark('archiveConversation', { ids: [id] })
    expect([(await messageRow(tier, id)).isArchived, (await messageRow(tier, message.id)).isArchived]).toEqual([
      true,
      true,
    ])
    const back = await mark('archiveConversation', { ids: [id], isArchived: false })
    expect(back.conversations).toMatchObject([{ id, isArchived: false }])
  })

  test.each(['markConversationsRead', 'starConversation', 'archiveConversation', 'markMessagesRead'])(
    "%s changes nothing for another tenant's id, an unknown or no id, too many, or a viewer",
    async (field) => {
      const own = await write('Own')
      const theirs = await write('Theirs', 'x@x.example', rival)
      const before = [await stored(), await stored(rival)]
      expect(await mark(field, { ids: [own, theirs] })).toBe('NOT_FOUND')
      expect(await mark(field, { ids: [own, uuidv7()] })).toBe('NOT_FOUND')
      expect(await mark(field, { ids: ['x'] })).toBe('INVALID_INPUT')
      expect(await mark(field, { ids: [] })).toBe('INVALID_INPUT')
      expect(await mark(field, { ids: Array.from({ length: 101 }, () => uuidv7()) })).toBe('LIMIT_REACHED')
      expect(await mark(field, { ids: [own] }, userOf(demo.tenantId, { roles: ['viewer'] }))).toBe('FORBIDDEN')
      expect([await stored(), await stored(rival)]).toEqual(before)
      expect((await messageRow(tier, theirs)).isRead).toBe(false)
    },
  )

  test.each(['markConversationsRead', 'starConversation', 'archiveConversation', 'markMessagesRead'])(
    '%s takes the mails before the conversation, as whoever else changes both: neither waits for the other for ever',
    async (field) => {
      const id = await write('Taken')
      const other = await tier.db.systemSql.connect()
      try {
        await other.query('BEGIN')
        await other.query('SELECT FROM inbox_message_refs WHERE id = $1 FOR NO KEY UPDATE', [id])
        const marked = mark(field, { ids: [id] })
        const waiting = 'SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))'
        while ((await other.query(waiting)).rowCount === 0) await new Promise((resolve) => setTimeout(resolve, 5))
        // The other one comes for the conversation, too, and finds it free.
        await other.query('SELECT FROM conversations WHERE thread_id = $1 FOR UPDATE NOWAIT', [id])
        await other.query('COMMIT')
        expect(typeof (await marked)).toBe('object')
      } finally {
        other.release(true)
      }
    },
  )

  test('a hundred costs as many statements as one', async () => {
    const ids: string[] = []
    for (let n = 0; n < 20; n += 1) ids.push(await write(`Mail ${n}`))
    await mark('markConversationsRead', { ids })
    const measure = async (some: string[]) => {
      const { statements } = await tier.db.statements.during(() => mark('markConversationsRead', { ids: some }))
      return withoutRelay(statements).length
    }
    expect(await measure(ids)).toBe(await measure(ids.slice(0, 1)))
  })
})
