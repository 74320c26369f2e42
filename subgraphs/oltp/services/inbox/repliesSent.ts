import { v7 as uuidv7 } from 'uuid'
import type { ReplyAttachmentInput, ReplyInput } from '#graphql/oltp'
import { now } from '#platform/clock.ts'
import { findAnswer, makeRepeatable, rememberAnswer } from '#platform/database/idempotency.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import { appendOutbox } from '#platform/outbox/append.ts'
import type { Context } from '../../context.ts'
import { changeAudited } from '../changes.ts'
import { dedupKey, type RawMail, readRawMail } from '../mailFlow/rawMail.ts'
import { composeMail, type MailAttachment, messageIdOf } from '../rendering/composeMail.ts'
import type { MessageRow } from '../rows.ts'
import { holdSender, requireActive } from '../sending/holdSender.ts'
import { insertQueuedMails, mailDue, type QueuedMail } from '../sending/queuedMail.ts'
import { readBody } from '../texts.ts'
import { type AnsweredMail, type AnswerHeaders, findAnsweredMail, findAnswerHeaders } from './repliesTo.ts'

const MAX_TEXT_LENGTH = 500_000
const MAX_ATTACHMENTS = 20
const MAX_FILENAME_LENGTH = 200

/**
 * Answers a mail by the way that campaigns' mail goes: its content is stored, a reference in the conversation is queued
 * and announced in one transaction, a worker sends it. It heeds no cap or window, but the mailbox has to be active on a
 * verified domain and nobody is answered who has complained. Repeating an `idempotencyKey` answers the first reply again.
 * @throws AppError NOT_FOUND for an unknown conversation or message; INVALID_INPUT; CONFLICT for a mailbox that cannot
 *         send, someone who complained, a mail of ours, or a key used with another input; LIMIT_REACHED for a mail too
 *         large; UNAVAILABLE when the content tier is away: nothing is written then
 */
export async function reply(context: Context, input: ReplyInput): Promise<MessageRow> {
  const { db, content, mailGroups, requestId, maxMessageBytes } = context
  const asked = readAsked(input)
  const text = readBody(input.text, 'text', MAX_TEXT_LENGTH)
  if (text === null) throw new AppError('INVALID_INPUT', 'text: is empty')
  const words = { text, html: readBody(input.html, 'html', MAX_TEXT_LENGTH) }
  const attachments = (input.attachments ?? []).map(readAttachment)
  if (attachments.length > MAX_ATTACHMENTS) {
    throw new AppError('LIMIT_REACHED', `attachments: at most ${MAX_ATTACHMENTS}`)
  }
  const { idempotencyKey, ...rest } = input
  const request = makeRepeatable(idempotencyKey, 'reply', [JSON.stringify(rest)])
  const earlier = request && (await findAnswer<{ id: string }>(db.tenantSql, request))
  if (earlier) return loadReply(context, earlier.id)

  const answered = await findAnsweredMail(db.tenantSql, asked)
  if (!answered) throw new AppError('NOT_FOUND', 'there is no such conversation or message')
  requireAnswerable(answered)
  const key = answered.contentStorageKey
  const headers = key === null ? null : await findAnswerHeaders(content, key, requestId)
  const id = uuidv7()
  const at = now()
  const bytes = await composeMail({
    refId: id,
    from: { email: answered.mailboxEmail, name: answered.displayName },
    to: { email: headers?.replyTo ?? answered.fromEmail ?? '' },
    mail: { ...words, subject: answerSubject(answered.subject) },
    date: at,
    thread: threadOf(answered, headers),
    attachments,
  })
  const raw = readRawMail(bytes.toString('base64'), maxMessageBytes)
  const stored = await mailGroups.store(currentTenant(), { raw, requestId })
  const row = { ...makeReply(answered, { id, at, raw, subject: stored.subject }), toEmail: stored.toEmails[0] ?? null }
  const written = await changeAudited(context, async (tx, record) => {
    const known = request && (await rememberAnswer(tx, request, { id }))
    if (known) return known.id
    await holdSender(tx, answered.emailAccountId)
    await insertQueuedMails(tx, [row])
    if (attachments.length > 0) await tx.query(HAS_ATTACHMENTS, [currentTenant(), id])
    await appendOutbox(tx, [mailDue(row, requestId)])
    const newValues = { threadId: row.threadId, inReplyTo: answered.id, attachments: attachments.length }
    await record({ action: 'message.reply', resourceType: 'InboxMessageRef', resourceId: id, newValues })
    return id
  })
  return loadReply(context, written)
}

const HAS_ATTACHMENTS = 'UPDATE inbox_message_refs SET has_attachments = true WHERE tenant_id = $1 AND id = $2'

function readAsked({ conversationId, messageId }: ReplyInput) {
  if ((conversationId == null) === (messageId == null)) {
    throw new AppError('INVALID_INPUT', 'conversationId or messageId: either of them')
  }
  return messageId == null
    ? { conversationId: readId(conversationId as string, 'conversationId') }
    : { messageId: readId(messageId, 'messageId') }
}

function readAttachment({ filename, mimeType, content }: ReplyAttachmentInput): MailAttachment {
  const name = filename.trim()
  if (name === '' || name.length > MAX_FILENAME_LENGTH || /[\p{Cc}/\\]/u.test(name)) {
    throw new AppError('INVALID_INPUT', 'attachments.filename: is not the name of a file')
  }
  if (mimeType != null && !/^[\w.+-]+\/[\w.+-]+$/.test(mimeType)) {
    throw new AppError('INVALID_INPUT', 'attachments.mimeType: is not a type, such as text/plain')
  }
  const bytes = Buffer.from(content, 'base64')
  if (bytes.length === 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(content)) {
    throw new AppError('INVALID_INPUT', 'attachments.content: is empty or not base64')
  }
  return { filename: name, ...(mimeType != null && { contentType: mimeType }), content: bytes }
}

function requireAnswerable(mail: AnsweredMail): void {
  const { direction, fromEmail, hasComplained, mailboxStatus, isVerified, pausedReason } = mail
  if (direction !== 'inbound') throw new AppError('CONFLICT', 'the message is one of ours: answer one that came in')
  if (!fromEmail) throw new AppError('CONFLICT', 'the message does not say who sent it')
  if (hasComplained) throw new AppError('CONFLICT', 'who sent it has complained of our mail and is not written to')
  requireActive({ status: mailboxStatus, isVerified, pausedReason })
}

function answerSubject(subject: string | null): string {
  const plain = (subject ?? '').replace(/\s+/g, ' ').trim()
  return /^re:/i.test(plain) ? plain : `Re: ${plain}`.trim()
}

/**
 * The conversation's Message-IDs as the answered mail has them, its own last (RFC 5322, 3.6.4). What was hashed to be kept
 * is no id.
 */
function threadOf({ rfc822MessageId }: AnsweredMail, headers: AnswerHeaders | null): string[] {
  const { references = [], inReplyTo = [], messageId = null } = headers ?? {}
  const earlier = references.length === 0 && inReplyTo.length === 1 ? inReplyTo : references
  const ids = [...earlier, messageId ?? rfc822MessageId ?? ''].map((id) => id.replace(/^<|>$/g, ''))
  return [...new Set(ids.filter((id) => id !== '' && !id.startsWith('sha256:')))]
}

type ReplyParts = { id: string; at: Date; raw: RawMail; subject: string | null }

/** It belongs to the conversation and the lead, but to no campaign: what a person writes counts in no campaign's figures. */
function makeReply(answered: AnsweredMail, { id, at, raw, subject }: ReplyParts): Omit<QueuedMail, 'toEmail'> {
  const { emailAccountId, mailboxEmail, leadId, threadId } = answered
  const rfc822MessageId = messageIdOf(id, mailboxEmail)
  return {
    ...{ id, emailAccountId, leadId, threadId, subject, rfc822MessageId },
    ...{ campaignId: null, stepId: null, enrollmentId: null, smtpIpAddressId: null },
    parentMessageId: answered.id,
    fromEmail: mailboxEmail,
    dedupKey: dedupKey(rfc822MessageId, raw.hash),
    contentStorageKey: raw.storageKey,
    createdAt: at,
    scheduledAt: at,
  }
}

async function loadReply({ loaders }: Context, id: string): Promise<MessageRow> {
  const message = await loaders.messages.load(id)
  if (!message) throw new AppError('NOT_FOUND', 'the reply is gone')
  return message
}
