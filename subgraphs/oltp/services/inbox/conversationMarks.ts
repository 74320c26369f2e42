import type {
  ArchiveConversationInput,
  MarkConversationsReadInput,
  MarkMessagesReadInput,
  StarConversationInput,
} from '#graphql/oltp'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import type { Context } from '../../context.ts'
import { type Act, changeAudited } from '../changes.ts'
import type { ConversationRow, MessageRow } from '../rows.ts'

const MAX_IDS = 100

// The mails before the conversations, as mail that comes in takes them; in the order of their ids, as everybody does.
const HOLD_MAILS = `
  SELECT id FROM inbox_message_refs WHERE tenant_id = $1 AND thread_id = ANY($2::uuid[])
  ORDER BY id FOR NO KEY UPDATE`

// Held before anything of them is read: mail that comes in meanwhile waits, and is counted after. In one order, always.
const LOCK = `
  SELECT thread_id AS id, unread_count > 0 AS "isUnread", is_starred AS "isStarred", is_archived AS "isArchived"
  FROM conversations WHERE tenant_id = $1 AND thread_id = ANY($2::uuid[]) ORDER BY thread_id FOR UPDATE`

const READ_ALL = `
  UPDATE inbox_message_refs SET is_read = true
  WHERE tenant_id = $1 AND thread_id = ANY($2::uuid[]) AND direction = 'inbound' AND NOT is_read`
// What was read last is what there is to be read again.
const UNREAD_LAST = `
  UPDATE inbox_message_refs r SET is_read = false
  FROM unnest($2::uuid[]) AS thread (id), LATERAL (
    SELECT m.id FROM inbox_message_refs m
    WHERE m.tenant_id = $1 AND m.thread_id = thread.id AND m.direction = 'inbound' AND m.message_type <> 'bounce'
    ORDER BY m.created_at DESC, m.id DESC LIMIT 1) AS last
  WHERE r.tenant_id = $1 AND r.id = last.id AND r.is_read`
const COUNT_UNREAD = `
  UPDATE conversations c SET unread_count = (
    SELECT count(*) FROM inbox_message_refs r
    WHERE r.tenant_id = $1 AND r.thread_id = c.thread_id AND r.direction = 'inbound' AND NOT r.is_read)
  WHERE c.tenant_id = $1 AND c.thread_id = ANY($2::uuid[])`

const STAR = 'UPDATE conversations SET is_starred = $3 WHERE tenant_id = $1 AND thread_id = ANY($2::uuid[])'
const STAR_MESSAGES = `
  UPDATE inbox_message_refs r SET is_starred = $3
  FROM conversations c WHERE c.tenant_id = $1 AND c.thread_id = ANY($2::uuid[]) AND r.tenant_id = $1
    AND r.thread_id = c.thread_id AND r.is_starred <> $3 AND (NOT $3 OR r.id = c.last_message_id)`
const ARCHIVE = 'UPDATE conversations SET is_archived = $3 WHERE tenant_id = $1 AND thread_id = ANY($2::uuid[])'
const ARCHIVE_MESSAGES = `
  UPDATE inbox_message_refs SET is_archived = $3
  WHERE tenant_id = $1 AND thread_id = ANY($2::uuid[]) AND is_archived <> $3`

type Marked = { id: string; isUnread: boolean; isStarred: boolean; isArchived: boolean }
type Change = Pick<Act, 'action'> & {
  field: 'isUnread' | 'isStarred' | 'isArchived'
  value: boolean
  statements: { text: string; values: unknown[] }[]
}

/**
 * Marks all mail of conversations as read; with `isRead: false`, the last one of each as not read.
 * @throws AppError NOT_FOUND for an unknown id: nothing is changed then; LIMIT_REACHED above 100 ids; INVALID_INPUT
 */
export function markConversationsRead(context: Context, { ids, isRead = true }: MarkConversationsReadInput) {
  return markConversations(context, ids, {
    action: 'conversation.markRead',
    field: 'isUnread',
    value: !isRead,
    statements: [
      { text: isRead ? READ_ALL : UNREAD_LAST, values: [] },
      { text: COUNT_UNREAD, values: [] },
    ],
  })
}

/**
 * Stars conversations with the last mail of each, or takes all stars off them.
 * @throws as `markConversationsRead`
 */
export function starConversation(context: Context, { ids, isStarred = true }: StarConversationInput) {
  return markConversations(context, ids, {
    action: 'conversation.star',
    field: 'isStarred',
    value: isStarred,
    statements: [
      { text: STAR, values: [isStarred] },
      { text: STAR_MESSAGES, values: [isStarred] },
    ],
  })
}

/**
 * Puts conversations away with all their mail, or fetches them back. One comes back by itself when someone writes in it.
 * @throws as `markConversationsRead`
 */
export function archiveConversation(context: Context, { ids, isArchived = true }: ArchiveConversationInput) {
  return markConversations(context, ids, {
    action: 'conversation.archive',
    field: 'isArchived',
    value: isArchived,
    statements: [
      { text: ARCHIVE, values: [isArchived] },
      { text: ARCHIVE_MESSAGES, values: [isArchived] },
    ],
  })
}

async function markConversations(
  context: Context,
  given: readonly string[],
  { action, field, value, statements }: Change,
): Promise<ConversationRow[]> {
  const ids = readIds(given)
  await changeAudited(context, async (tx, record) => {
    await tx.query(HOLD_MAILS, [currentTenant(), ids])
    const { rows } = await tx.query<Marked>(LOCK, [currentTenant(), ids])
    if (rows.length < ids.length) throw new AppError('NOT_FOUND', 'ids: there is no such conversation')
    for (const { text, values } of statements) await tx.query(text, [currentTenant(), ids, ...values])
    const changed = rows.filter((row) => row[field] !== value)
    const values = { oldValues: { [field]: !value }, newValues: { [field]: value } }
    await record(...changed.map(({ id }) => ({ action, resourceType: 'Conversation', resourceId: id, ...values })))
  })
  return loadAll(ids, context.loaders.conversations)
}

const FIND_MESSAGES = `
  SELECT id, thread_id AS "threadId", NOT is_read AS "isUnread" FROM inbox_message_refs
  WHERE tenant_id = $1 AND id = ANY($2::uuid[]) ORDER BY id FOR NO KEY UPDATE`
const READ_MESSAGES = `
  UPDATE inbox_message_refs SET is_read = $3
  WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND direction = 'inbound' AND is_read <> $3
  RETURNING id`

/**
 * Marks received mails as read or not; a sent one is always read.
 * @throws AppError NOT_FOUND for an unknown id: nothing is changed then; LIMIT_REACHED above 100 ids; INVALID_INPUT
 */
export async function markMessagesRead(context: Context, input: MarkMessagesReadInput): Promise<MessageRow[]> {
  const ids = readIds(input.ids)
  const { isRead = true } = input
  await changeAudited(context, async (tx, record) => {
    const found = await tx.query<{ id: string; threadId: string }>(FIND_MESSAGES, [currentTenant(), ids])
    if (found.rows.length < ids.length) throw new AppError('NOT_FOUND', 'ids: there is no such message')
    const threadIds = [...new Set(found.rows.map(({ threadId }) => threadId))]
    await tx.query(LOCK, [currentTenant(), threadIds])
    const { rows: changed } = await tx.query<{ id: string }>(READ_MESSAGES, [currentTenant(), ids, isRead])
    await tx.query(COUNT_UNREAD, [currentTenant(), threadIds])
    const values = { oldValues: { isRead: !isRead }, newValues: { isRead } }
    const act = { action: 'message.markRead', resourceType: 'InboxMessageRef', ...values }
    await record(...changed.map(({ id }) => ({ ...act, resourceId: id })))
  })
  return loadAll(ids, context.loaders.messages)
}

function readIds(ids: readonly string[]): string[] {
  if (ids.length === 0) throw new AppError('INVALID_INPUT', 'ids: is empty')
  if (ids.length > MAX_IDS) throw new AppError('LIMIT_REACHED', `ids: at most ${MAX_IDS} at a time`)
  return [...new Set(ids.map((id) => readId(id, 'ids')))]
}

async function loadAll<Row>(ids: string[], loader: { load(id: string): Promise<Row | null> }): Promise<Row[]> {
  const rows = await Promise.all(ids.map((id) => loader.load(id)))
  return rows.filter((row) => row !== null)
}
