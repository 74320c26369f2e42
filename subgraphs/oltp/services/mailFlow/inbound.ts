import { v7 as uuidv7 } from 'uuid'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { appendOutbox, type OutboxEventInput } from '#platform/outbox/append.ts'
import type { MessageRow } from '../rows.ts'
import { markAnswered } from './answers.ts'
import { makeEmailEvent } from './emailEvents.ts'
import { insertMessages, makeMessageRow, type readMailColumns } from './messageRows.ts'
import type { Placement } from './placement.ts'
import type { StoredMail } from './storedMail.ts'

/** A mail whose content is stored and whose place is found: what is left is to write and announce it. */
export type InboundMail = {
  message: MessageRow
  mail: StoredMail
  placement: Placement
  timezone: string
  requestId: string
}

/** The message a mail became, and whether it was one before. */
export type Outcome = { messageId: string; duplicate: boolean }

/** The message that a mail becomes in its mailbox, now. */
export function makeInboundMessage(
  mail: StoredMail,
  columns: ReturnType<typeof readMailColumns>,
  { mailbox, answered, senderLeadId }: Placement,
): MessageRow {
  const id = uuidv7()
  const now = new Date()
  return makeMessageRow({
    ...columns,
    id,
    emailAccountId: mailbox.id,
    threadId: answered?.threadId ?? id,
    parentMessageId: answered?.id ?? null,
    campaignId: answered?.campaignId ?? null,
    stepId: answered?.stepId ?? null,
    leadId: answered?.leadId ?? senderLeadId,
    direction: 'inbound',
    messageType: mail.messageKind,
    status: 'received',
    processedAt: now,
    createdAt: now,
  })
}

/**
 * Writes and announces mails of the tenant in scope, in the caller's transaction. A mail that its mailbox has already is
 * left as it is; a concurrent writer of the same mail is waited for. Answers one outcome per mail, in their order.
 * @throws AppError CONFLICT when a mail is being removed meanwhile
 */
export async function writeInbound(tx: Queryable, mails: readonly InboundMail[]): Promise<Outcome[]> {
  // In one order whoever writes: two transactions that share mails then wait for each other instead of deadlocking.
  const ordered = mails.map(({ message }) => message).sort((a, b) => (a.dedupKey < b.dedupKey ? -1 : 1))
  const written = await insertMessages(tx, ordered)
  const events: OutboxEventInput[] = []
  for (const mail of mails) if (written.has(mail.message.id)) events.push(...(await makeEvents(tx, mail)))
  if (events.length > 0) await appendOutbox(tx, events)
  const known = await findKnown(
    tx,
    ordered.filter(({ id }) => !written.has(id)),
  )
  return mails.map(({ message }) => {
    if (written.has(message.id)) return { messageId: message.id, duplicate: false }
    const messageId = known.get(placeOf(message))
    if (!messageId) throw new AppError('CONFLICT', 'the mail is being removed; try again')
    return { messageId, duplicate: true }
  })
}

async function makeEvents(tx: Queryable, inbound: InboundMail): Promise<OutboxEventInput[]> {
  const { message, mail, placement, timezone, requestId } = inbound
  const { mailbox, answered } = placement
  const about = { timezone, requestId }
  const received = makeEmailEvent({ eventType: 'received', at: message.createdAt, message, mailbox, ...about })
  const bounceType = mail.bounce?.type ?? 'soft'
  const answer = answered && (await markAnswered(tx, message, answered, { bounceType, ...about }))
  return answer ? [received, answer] : [received]
}

/** The messages that these would have been a second time, by their place. */
async function findKnown(tx: Queryable, messages: readonly MessageRow[]): Promise<Map<string, string>> {
  if (messages.length === 0) return new Map()
  const { rows } = await tx.query<{ id: string; emailAccountId: string; dedupKey: string }>(
    `SELECT r.id, r.email_account_id AS "emailAccountId", r.dedup_key AS "dedupKey"
     FROM inbox_message_refs r JOIN unnest($2::uuid[], $3::text[]) AS asked (email_account_id, dedup_key)
       ON r.email_account_id = asked.email_account_id AND r.dedup_key = asked.dedup_key
     WHERE r.tenant_id = $1`,
    [currentTenant(), messages.map((message) => message.emailAccountId), messages.map((message) => message.dedupKey)],
  )
  return new Map(rows.map((row) => [placeOf(row), row.id]))
}

function placeOf({ emailAccountId, dedupKey }: Pick<MessageRow, 'emailAccountId' | 'dedupKey'>): string {
  return `${emailAccountId} ${dedupKey}`
}
