import { findUnsubscribedRef } from '../rendering/unsubscribeMail.ts'
import type { AnsweredMessage, Placement } from './placement.ts'
import type { ReportedRecipient, StoredMail } from './storedMail.ts'

/** What an inbound mail means for a mail of ours. */
export type Meaning =
  | { kind: 'reply'; message: AnsweredMessage }
  | { kind: 'bounce'; message: AnsweredMessage; bounceType: 'hard' | 'soft' }
  | { kind: 'delivery' | 'delay' | 'complaint' | 'unsubscribe'; message: AnsweredMessage }

/**
 * What a mail means; null when it means nothing: it is kept all the same. A report is believed only about a mail that we
 * have sent, to an address that we have sent it to; anything else in it is somebody's word.
 */
export function readMeaning(mail: StoredMail, placement: Placement): Meaning | null {
  const { answered, campaignMail, isOwnSender } = placement
  if (mail.report) return answered ? readReport(mail.report.recipients, answered) : null
  if (mail.messageKind === 'bounce') return null
  const left = findUnsubscribedRef(mail.subject)
  if (left !== null) {
    const isOurs = answered?.id === left && answered.direction === 'outbound'
    return isOurs ? { kind: 'unsubscribe', message: answered } : null
  }
  if (mail.messageKind !== 'email' || isOwnSender || !campaignMail) return null
  return { kind: 'reply', message: campaignMail }
}

function readReport(recipients: readonly ReportedRecipient[], message: AnsweredMessage): Meaning | null {
  if (message.direction !== 'outbound' || message.status === 'queued') return null
  const told = recipients.find((one) => isAbout(one, message)) ?? findNameless(recipients)
  if (!told) return null
  switch (told.outcome) {
    case 'bounced':
      return { kind: 'bounce', message, bounceType: told.bounceType ?? 'soft' }
    case 'complained':
      return { kind: 'complaint', message }
    case 'delivered':
      return { kind: 'delivery', message }
    case 'delayed':
      return { kind: 'delay', message }
  }
}

function isAbout({ recipient, originalRecipient }: ReportedRecipient, { toEmail }: AnsweredMessage): boolean {
  return toEmail !== null && (recipient === toEmail || originalRecipient === toEmail)
}

/** Providers hide who complained, and prose names nobody: our mails have one recipient, so the Message-ID says it all. */
function findNameless(recipients: readonly ReportedRecipient[]): ReportedRecipient | undefined {
  const [only, ...others] = recipients
  return others.length === 0 && only?.recipient === null && only.originalRecipient === null ? only : undefined
}
