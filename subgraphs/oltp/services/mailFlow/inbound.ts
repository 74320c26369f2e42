import { v7 as uuidv7 } from 'uuid'
import { now } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { appendOutbox, type OutboxEventInput } from '#platform/outbox/append.ts'
import type { HeldBrakes } from '../brakes/brakes.ts'
import type { MessageRow } from '../rows.ts'
import { type Answer, applyAnswers, holdAnswered } from './answers.ts'
import { makeEmailEvent } from './emailEvents.ts'
import { type Meaning, readMeaning } from './meaning.ts'
import { insertMessages, makeMessageRow, type readMailColumns } from './messageRows.ts'
import type { Placement } from './placement.ts'
import type { StoredMail } from './storedMail.ts'

/** A mail whose content is stored and whose place is found: what is left is to write and announce it. */
export type InboundMail = {
  message: MessageRow
  placement: Placement
  /** What it means for a mail of ours, if anything. */
  meaning: Meaning | null
  timezone: string
  requestId: string
}

/** The message a mail became, and whether it was one before. */
export type Outcome = { messageId: string; duplicate: boolean }

/**
 * The message that a mail becomes in its mailbox, now, and what it means. What says something to the platform alone (a
 * report that is believed, the wish not to be written to) comes in as read: nobody has to.
 */
export function makeInboundMail(
  mail: StoredMail,
  columns: ReturnType<typeof readMailColumns>,
  placement: Placement,
  about: { timezone: string; requestId: string },
): InboundMail {
  const { mailbox, campaignMail, senderLeadId } = placement
  const answered = placement.answered ?? campaignMail
  const meaning = readMeaning(mail, placement)
  const id = uuidv7()
  const at = now()
  const message = makeMessageRow({
    ...columns,
    id,
    emailAccountId: mailbox.id,
    threadId: answered?.threadId ?? id,
    parentMessageId: answered?.id ?? null,
    campaignId: answered?.campaignId ?? campaignMail?.campaignId ?? null,
    stepId: answered?.stepId ?? campaignMail?.stepId ?? null,
    leadId: answered?.leadId ?? campaignMail?.leadId ?? senderLeadId,
    direction: 'inbound',
    messageType: mail.messageKind,
    status: 'received',
    isRead: meaning !== null && meaning.kind !== 'reply',
    processedAt: at,
    createdAt: at,
  })
  return { message, placement, meaning, ...about }
}

/**
 * Writes and announces mails of the tenant in scope, in the caller's transaction. A mail that its mailbox has already is
 * left as it is; a concurrent writer of the same mail is waited for. Answers one outcome per mail, in their order.
 * @param tx of `transact`
 * @throws AppError CONFLICT when a mail is being removed meanwhile
 */
export async function writeInbound(tx: Queryable, mails: readonly InboundMail[]): Promise<Outcome[]> {
  // First what whoever plans takes first: writing the answers takes their threads, then come leads (see sending/README.md).
  const held = await holdAnswered(
    tx,
    mails.flatMap(({ meaning }) => meaning ?? []),
  )
  // In one order whoever writes: two transactions that share mails then wait for each other instead of deadlocking.
  const ordered = mails.map(({ message }) => message).sort((a, b) => (a.dedupKey < b.dedupKey ? -1 : 1))
  const written = await insertMessages(tx, ordered)
  const fresh = mails.filter(({ message }) => written.has(message.id))
  if (fresh.length > 0) await announce(tx, fresh, held)
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

async function announce(tx: Queryable, fresh: readonly InboundMail[], held: HeldBrakes): Promise<void> {
  const events: OutboxEventInput[] = fresh.map(({ message, placement: { mailbox }, timezone, requestId }) =>
    makeEmailEvent({ eventType: 'received', at: message.createdAt, message, mailbox, timezone, requestId }),
  )
  const answers = fresh.flatMap(({ meaning, message }): Answer[] =>
    meaning ? [{ meaning, messageId: message.id, at: message.createdAt }] : [],
  )
  const [{ timezone, requestId }] = fresh as [InboundMail]
  if (answers.length > 0) events.push(...(await applyAnswers(tx, answers, held, { timezone, requestId })))
  await appendOutbox(tx, events)
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
