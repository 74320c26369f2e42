import { v7 as uuidv7 } from 'uuid'
import type { IngestMessageInput } from '#graphql/oltp'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { appendOutbox } from '#platform/outbox/append.ts'
import type { Context } from '../../context.ts'
import { findAnswer, makeRepeatable, rememberAnswer } from '../idempotency.ts'
import { readId } from '../ids.ts'
import type { MessageRow } from '../rows.ts'
import { markAnswered } from './answers.ts'
import { makeEmailEvent } from './emailEvents.ts'
import { answeredMessageIds } from './messageIds.ts'
import { insertMessages, makeMessageRow, readMailColumns } from './messageRows.ts'
import { findPlacement, findReadiness, type Placement } from './placement.ts'
import { readRawMail } from './rawMail.ts'
import { type StoredMail, storeMails } from './storedMail.ts'

type Outcome = { messageId: string; duplicate: boolean }

/** Recipients looked at; a mail with more of them than this is to none of ours in particular. */
const MAX_RECIPIENTS = 2_000

/**
 * Takes in a raw mail for the tenant in scope: content first, then its reference and what is announced of it, in one
 * transaction. A crash before the transaction leaves content that the next attempt finds again; after it, all is done.
 * The same mail in the same mailbox is one message, also when it comes several times at once.
 * @throws AppError INVALID_INPUT (0 bytes), LIMIT_REACHED (too large), NOT_FOUND (no such mailbox), CONFLICT (a key used
 *         with another input), UNAVAILABLE (the content tier is away; nothing is written then)
 */
export async function ingestMessage(
  context: Context,
  input: IngestMessageInput,
): Promise<{ message: MessageRow; duplicate: boolean }> {
  const { db, content, relay, requestId, maxMessageBytes } = context
  const raw = readRawMail(input.raw, maxMessageBytes)
  const emailAccountId = input.emailAccountId == null ? null : readId(input.emailAccountId, 'emailAccountId')
  const request = makeRepeatable(input.idempotencyKey, 'ingestMessage', [raw.hash, emailAccountId])
  const earlier = request && (await findAnswer<Outcome>(db.tenantSql, request))
  if (earlier) return loadOutcome(context, earlier)

  // Before anything is stored: a mail for nobody leaves nothing behind.
  const readiness = await findReadiness(db.tenantSql, emailAccountId)
  if (!readiness?.hasMailbox) throw noMailbox(emailAccountId)

  const tenantId = currentTenant()
  const mail = (await storeMails(content, [raw], { tenantId, requestId })).get(raw.storageKey)
  if (!mail) throw new AppError('UNAVAILABLE', 'the content tier did not answer for this mail')
  const columns = readMailColumns(raw, mail)
  const placement = await findPlacement(db.tenantSql, {
    emailAccountId,
    toEmails: mail.toEmails.slice(0, MAX_RECIPIENTS).map((email) => email.replaceAll('\0', '')),
    fromEmail: columns.fromEmail,
    answeredIds: answeredMessageIds(mail),
    dedupKey: columns.dedupKey,
  })
  if (!placement) throw noMailbox(emailAccountId)

  const known = placement.knownMessageId
  if (known !== null && !request) return loadOutcome(context, { messageId: known, duplicate: true })

  const message = makeInboundMessage(mail, columns, placement)
  const outcome = await db.tenantSql.transaction(
    async (tx): Promise<Outcome> => {
      const written = await writeMessage(tx, message)
      const repeated = request && (await rememberAnswer(tx, request, written))
      // Only when a mailbox came or went between two uses of the key: what this one wrote is taken back.
      if (repeated && !written.duplicate) throw new AppError('CONFLICT', 'idempotencyKey: is in use; try again')
      if (repeated) return repeated
      if (!written.duplicate) await announce(tx, { message, mail, placement, timezone: readiness.timezone, requestId })
      return written
    },
    { retries: 2 },
  )
  relay.wake()
  if (outcome.messageId === message.id) return { message, duplicate: outcome.duplicate }
  return loadOutcome(context, outcome)
}

function makeInboundMessage(
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

/** Writes the message unless its mailbox has it; a concurrent writer of the same mail is waited for. */
async function writeMessage(tx: Queryable, message: MessageRow): Promise<Outcome> {
  const written = await insertMessages(tx, [message])
  if (written.has(message.id)) return { messageId: message.id, duplicate: false }
  const { rows } = await tx.query<{ id: string }>(
    'SELECT id FROM inbox_message_refs WHERE tenant_id = $1 AND email_account_id = $2 AND dedup_key = $3',
    [message.tenantId, message.emailAccountId, message.dedupKey],
  )
  const [known] = rows
  if (!known) throw new AppError('CONFLICT', 'the mail is being removed; try again')
  return { messageId: known.id, duplicate: true }
}

async function announce(
  tx: Queryable,
  parts: { message: MessageRow; mail: StoredMail; placement: Placement; timezone: string; requestId: string },
): Promise<void> {
  const { message, mail, placement, timezone, requestId } = parts
  const { mailbox, answered } = placement
  const events = [
    makeEmailEvent({ eventType: 'received', at: message.createdAt, message, mailbox, timezone, requestId }),
  ]
  const bounceType = mail.bounce?.type ?? 'soft'
  const answer = answered && (await markAnswered(tx, message, answered, { bounceType, timezone, requestId }))
  if (answer) events.push(answer)
  await appendOutbox(tx, events)
}

async function loadOutcome({ loaders }: Context, { messageId, duplicate }: Outcome) {
  const message = await loaders.messages.load(messageId)
  if (!message) throw new AppError('NOT_FOUND', 'the message is gone')
  return { message, duplicate }
}

function noMailbox(emailAccountId: string | null): AppError {
  return new AppError(
    'NOT_FOUND',
    emailAccountId ? 'emailAccountId: there is no such mailbox' : 'the tenant has no mailbox',
  )
}
