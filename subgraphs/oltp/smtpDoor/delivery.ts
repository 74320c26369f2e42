import { randomUUID } from 'node:crypto'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { type Log, logForCaller } from '#platform/log.ts'
import { makeContext, type Parts } from '../context.ts'
import { ingestMessage } from '../services/mailFlow/ingest.ts'
import type { Recipient } from './recipients.ts'

/**
 * What became of a mail for one recipient: written now, written before, its mailbox is gone meanwhile, the mail itself
 * cannot be taken, or something we need is away and the sender is to come again.
 */
export type Fate = 'stored' | 'known' | 'gone' | 'refused' | 'later'

export type MailToDeliver = {
  /** The mail as it came. */
  raw: Buffer
  /** MAIL FROM; empty for what must not be answered: delivery reports. */
  sender: string
  /** Those it was accepted for, in the order in which they were named. */
  recipients: readonly Recipient[]
}

/**
 * Takes a mail in for the mailboxes it was accepted for, one after the other, so that a mail to many is in memory once.
 * When something is away, those not reached yet are left for the next attempt: what is written already is then known.
 * Answers one fate per recipient, in their order, and never throws.
 */
export async function deliverMail(parts: Parts, mail: MailToDeliver, log: Log): Promise<Fate[]> {
  const raw = withReturnPath(mail, parts.maxMessageBytes).toString('base64')
  const requestId = randomUUID()
  const fates = new Map<string, Fate>()
  let isAway = false
  for (const { tenantId, emailAccountId } of mail.recipients) {
    if (fates.has(emailAccountId)) continue
    if (isAway) {
      fates.set(emailAccountId, 'later')
      continue
    }
    const caller = { kind: 'service', from: 'oltp', tenantId, userId: null, roles: [], requestId } as const
    const ownLog = logForCaller(log, caller)
    try {
      const { duplicate } = await runAsTenant(tenantId, () =>
        ingestMessage(makeContext({ caller, requestId, log: ownLog }, parts), { raw, emailAccountId }),
      )
      fates.set(emailAccountId, duplicate ? 'known' : 'stored')
    } catch (error) {
      const fate = fateOf(error)
      fates.set(emailAccountId, fate)
      isAway = fate === 'later'
      if (isAway) ownLog.warn({ err: error }, 'mail could not be taken in and is asked for again')
    }
  }
  return mail.recipients.map(({ emailAccountId }) => fates.get(emailAccountId) ?? 'later')
}

/** Whatever is not known to be the mail's or the mailbox's fault is ours: then the mail must come again. */
function fateOf(error: unknown): Fate {
  if (!(error instanceof AppError)) return 'later'
  if (error.code === 'NOT_FOUND') return 'gone'
  return error.code === 'INVALID_INPUT' || error.code === 'LIMIT_REACHED' ? 'refused' : 'later'
}

/**
 * The mail with the envelope's sender above it, as RFC 5321 wants from whoever delivers last; it tells the report of a
 * mail server from a person's mail. Nothing else is added: a mail that comes again must be the same bytes again.
 */
function withReturnPath({ raw, sender }: MailToDeliver, maxBytes: number): Buffer {
  const line = Buffer.from(`Return-Path: <${sender}>\r\n`)
  // Nothing stays nothing, and a mail of just the size that was allowed must not become too large by our line.
  return raw.length === 0 || raw.length + line.length > maxBytes ? raw : Buffer.concat([line, raw])
}
