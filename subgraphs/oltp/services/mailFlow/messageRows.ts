import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import type { MessageRow } from '../rows.ts'
import { cleanText } from '../texts.ts'
import { normalizeMessageId } from './messageIds.ts'
import { dedupKey, type RawMail } from './rawMail.ts'
import type { StoredMail } from './storedMail.ts'

// One statement for any number of rows; a message known by its id, or by mailbox and dedup_key, is left out.
const INSERT = `
  INSERT INTO inbox_message_refs SELECT * FROM jsonb_populate_recordset(NULL::inbox_message_refs, $1)
  ON CONFLICT DO NOTHING RETURNING id`

/** Longest texts kept here; the mail itself is kept whole by the content tier. */
const MAX_SUBJECT_LENGTH = 2_000
const MAX_ADDRESS_LENGTH = 320

/** What the mail itself says of its message, as the columns can hold it. */
export function readMailColumns(raw: RawMail, mail: StoredMail) {
  return {
    fromEmail: cleanText(mail.fromEmail, MAX_ADDRESS_LENGTH)?.toLowerCase() ?? null,
    toEmail: cleanText(mail.toEmails[0], MAX_ADDRESS_LENGTH)?.toLowerCase() ?? null,
    subject: cleanText(mail.subject, MAX_SUBJECT_LENGTH),
    rfc822MessageId: normalizeMessageId(mail.messageId),
    dedupKey: dedupKey(mail.messageId, raw.hash),
    parseStatus: mail.parseStatus,
    contentStorageKey: raw.storageKey,
    hasAttachments: mail.hasAttachments,
  }
}

/** A message of the tenant in scope of which nothing is known but what is given. */
export function makeMessageRow(
  known: Partial<MessageRow> &
    Pick<MessageRow, 'id' | 'emailAccountId' | 'threadId' | 'direction' | 'status' | 'createdAt'> &
    ReturnType<typeof readMailColumns>,
): MessageRow {
  return {
    tenantId: currentTenant(),
    campaignId: null,
    stepId: null,
    leadId: null,
    enrollmentId: null,
    smtpIpAddressId: null,
    parentMessageId: null,
    messageType: 'email',
    isRead: false,
    isStarred: false,
    isArchived: false,
    bounceType: null,
    version: 1,
    processedAt: null,
    queuedAt: null,
    scheduledAt: null,
    sendingStartedAt: null,
    acceptWindowAt: null,
    sendAttempts: 0,
    sendingJobId: null,
    smtpResponse: null,
    sentAt: null,
    deliveredAt: null,
    openedAt: null,
    humanOpenedAt: null,
    clickedAt: null,
    repliedAt: null,
    bouncedAt: null,
    failedAt: null,
    failureReason: null,
    unsubscribedAt: null,
    complainedAt: null,
    updatedAt: known.createdAt,
    ...known,
  }
}

/** Writes messages of the tenant in scope; answers the ids of those that were not there yet. */
export async function insertMessages(tx: Queryable, messages: readonly MessageRow[]): Promise<Set<string>> {
  const { rows } = await tx.query<{ id: string }>(INSERT, [JSON.stringify(messages.map(toColumns))])
  return new Set(rows.map(({ id }) => id))
}

/** Which of these ids are messages of the tenant in scope. */
export async function findKnownIds(sql: Queryable, ids: readonly string[]): Promise<Set<string>> {
  const text = 'SELECT id FROM inbox_message_refs WHERE tenant_id = $1 AND id = ANY($2::uuid[])'
  const { rows } = await sql.query<{ id: string }>(text, [currentTenant(), ids])
  return new Set(rows.map(({ id }) => id))
}

function toColumns(message: MessageRow): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(message).map(([name, value]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value,
    ]),
  )
}
