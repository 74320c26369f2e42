import type { IngestMessageInput } from '#graphql/oltp'
import { findAnswer, makeRepeatable, type RepeatableRequest, rememberAnswer } from '#platform/database/idempotency.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import type { IncomingContext } from '../../context.ts'
import { findUnsubscribedRef } from '../rendering/unsubscribeMail.ts'
import type { MessageRow } from '../rows.ts'
import { transact } from '../sending/transact.ts'
import { type InboundMail, makeInboundMail, type Outcome, writeInbound } from './inbound.ts'
import { answeredMessageIds, ownReferenceIds } from './messageIds.ts'
import { readMailColumns } from './messageRows.ts'
import { findPlacement, findReadiness } from './placement.ts'
import { readRawMail } from './rawMail.ts'
import type { StoredMail } from './storedMail.ts'

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
  context: IncomingContext,
  input: IngestMessageInput,
): Promise<{ message: MessageRow; duplicate: boolean }> {
  const { db, mailGroups, relay, requestId, maxMessageBytes } = context
  const raw = readRawMail(input.raw, maxMessageBytes)
  const emailAccountId = input.emailAccountId == null ? null : readId(input.emailAccountId, 'emailAccountId')
  const request = makeRepeatable(input.idempotencyKey, 'ingestMessage', [raw.hash, emailAccountId])
  const earlier = request && (await findAnswer<Outcome>(db.tenantSql, request))
  if (earlier) return loadOutcome(context, earlier)

  // Before anything is stored: a mail for nobody leaves nothing behind.
  const readiness = await findReadiness(db.tenantSql, emailAccountId)
  if (!readiness?.hasMailbox) throw noMailbox(emailAccountId)

  const tenantId = currentTenant()
  const mail = await mailGroups.store(tenantId, { raw, requestId })
  const columns = readMailColumns(raw, mail)
  const placement = await findPlacement(db.tenantSql, {
    emailAccountId,
    toEmails: mail.toEmails.slice(0, MAX_RECIPIENTS).map((email) => email.replaceAll('\0', '')),
    fromEmail: columns.fromEmail,
    ...findAnswered(mail),
    dedupKey: columns.dedupKey,
  })
  if (!placement) throw noMailbox(emailAccountId)

  const known = placement.knownMessageId
  if (known !== null && !request) return loadOutcome(context, { messageId: known, duplicate: true })

  const inbound = makeInboundMail(mail, columns, placement, { timezone: readiness.timezone, requestId })
  const { message } = inbound
  const outcome = request ? await writeOnce(context, request, inbound) : await mailGroups.write(tenantId, inbound)
  relay.wake()
  if (outcome.messageId === message.id) return { message, duplicate: outcome.duplicate }
  return loadOutcome(context, outcome)
}

/** Writes a mail in the transaction in which its answer is remembered under the client's key. */
function writeOnce(context: IncomingContext, request: RepeatableRequest, inbound: InboundMail): Promise<Outcome> {
  const write = async (tx: Queryable): Promise<Outcome> => {
    const [written] = await writeInbound(tx, [inbound])
    if (!written) throw new AppError('INTERNAL', 'no outcome for the mail')
    const repeated = await rememberAnswer(tx, request, written)
    // Only when a mailbox came or went between two uses of the key: what this one wrote is taken back.
    if (repeated && !written.duplicate) throw new AppError('CONFLICT', 'idempotencyKey: is in use; try again')
    return repeated ?? written
  }
  return transact(context, write, { retries: 2 })
}

/** What a mail may be an answer to. */
function findAnswered(mail: StoredMail) {
  const answeredIds = answeredMessageIds(mail)
  const left = mail.report ? null : findUnsubscribedRef(mail.subject)
  return {
    answeredIds,
    answeredRefIds: [...ownReferenceIds(answeredIds), ...(left ? [left] : [])],
    mayAnswerAny: mail.messageKind !== 'bounce' && !mail.report && !mail.isBulk && left === null,
  }
}

async function loadOutcome({ loaders }: IncomingContext, { messageId, duplicate }: Outcome) {
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
