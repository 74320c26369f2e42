import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import type { ServiceClient } from '#platform/graph/serviceClient.ts'
import { hasComplained } from '../sending/suppressed.ts'

/** The mail that a person answers, and who may. */
export type AnsweredMail = {
  id: string
  threadId: string
  leadId: string | null
  direction: 'inbound' | 'outbound'
  fromEmail: string | null
  subject: string | null
  rfc822MessageId: string | null
  contentStorageKey: string | null
  hasComplained: boolean
  emailAccountId: string
  mailboxEmail: string
  displayName: string | null
  mailboxStatus: string
  /** Its domain is. */
  isVerified: boolean
  pausedReason: string | null
}

const COLUMNS = `
  r.id, r.thread_id AS "threadId", r.lead_id AS "leadId", r.direction, r.from_email AS "fromEmail", r.subject,
  r.rfc822_message_id AS "rfc822MessageId", r.content_storage_key AS "contentStorageKey",
  ${hasComplained('r.from_email', 'r.lead_id')} AS "hasComplained", a.id AS "emailAccountId", a.email AS "mailboxEmail",
  a.display_name AS "displayName", a.status AS "mailboxStatus",
  (SELECT d.verification_status = 'verified' FROM domains d WHERE d.tenant_id = a.tenant_id AND d.id = a.domain_id)
    AS "isVerified", a.paused_reason AS "pausedReason"`
const MAILBOX =
  'JOIN email_accounts a ON a.tenant_id = r.tenant_id AND a.id = r.email_account_id AND a.deleted_at IS NULL'

const BY_MESSAGE = `SELECT ${COLUMNS} FROM inbox_message_refs r ${MAILBOX} WHERE r.tenant_id = $1 AND r.id = $2`
// What a person wrote before what a machine did; a report is nothing to answer.
const BY_CONVERSATION = `
  SELECT ${COLUMNS} FROM inbox_message_refs r ${MAILBOX}
  WHERE r.tenant_id = $1 AND r.thread_id = $2 AND r.direction = 'inbound' AND r.message_type <> 'bounce'
    AND EXISTS (SELECT FROM conversations c WHERE c.tenant_id = $1 AND c.thread_id = $2)
  ORDER BY r.message_type = 'email' DESC, r.created_at DESC, r.id DESC LIMIT 1`

/** The mail named, or the last one that came in a conversation; null when the tenant has none such. */
export async function findAnsweredMail(
  sql: Queryable,
  asked: { messageId: string } | { conversationId: string },
): Promise<AnsweredMail | null> {
  const [text, id] = 'messageId' in asked ? [BY_MESSAGE, asked.messageId] : [BY_CONVERSATION, asked.conversationId]
  const { rows } = await sql.query<AnsweredMail>(text, [currentTenant(), id])
  return rows[0] ?? null
}

/** What a mail says of how it wants to be answered. Message-IDs are in angle brackets. */
export type AnswerHeaders = {
  messageId: string | null
  inReplyTo: string[]
  references: string[]
  replyTo: string | null
}

const STORED_MAILS = `query StoredMails($storageKeys: [ID!]!) {
  storedMails(storageKeys: $storageKeys) { messageId inReplyTo references replyTo }
}`

/**
 * What the content tier has read in a mail's header; null when it has it no more.
 * @throws AppError UNAVAILABLE when the content tier does not answer
 */
export async function findAnswerHeaders(
  content: ServiceClient,
  storageKey: string,
  requestId: string,
): Promise<AnswerHeaders | null> {
  type Answer = { storedMails: AnswerHeaders[] }
  const variables = { storageKeys: [storageKey] }
  const data = await content.request<Answer>(STORED_MAILS, variables, { tenantId: currentTenant(), requestId })
  return data.storedMails[0] ?? null
}
