import type { Envelope } from './mailEnvelope.ts'
import { firstValue, messageIds } from './mailEnvelope.ts'
import { findHeaderBlock, type HeaderField } from './mailHeaders.ts'
import type { MimeFile } from './mimeReading.ts'

/** What became of a mail for one of its recipients, as a report tells. */
export type ReportedRecipient = {
  /** Where it was delivered to, or not; lower case. */
  recipient: string | null
  /** Whom the sender had named, where that was another: a forwarded mail's recipient. */
  originalRecipient: string | null
  outcome: 'bounced' | 'delayed' | 'delivered' | 'complained'
  /** Of a bounce: whether it is for good; see statusCodes.ts. */
  bounceType: 'hard' | 'soft' | null
  /** RFC 3463 status, e.g. `5.1.1`. */
  status: string | null
  /** What the other server said, at most 500 characters. */
  diagnostic: string | null
}

/** A report about a mail: of its delivery (RFC 3464, or in prose) or of a complaint (RFC 5965). Whether it lies is not known here. */
export type MailReport = {
  /** Message-ID of the mail it is about, in angle brackets. */
  originalMessageId: string | null
  /** At least one. */
  recipients: ReportedRecipient[]
}

/** What a report is read from. */
export type ReportSource = {
  fields: readonly HeaderField[]
  text: string | null
  files: readonly MimeFile[]
  envelope: Envelope
}

/** How much of a text or a part is looked at. */
export const SCANNED_CHARACTERS = 64 * 1024

const RETURNED = new Set([
  'message/rfc822',
  'message/rfc822-headers',
  'text/rfc822-headers',
  'message/global',
  'message/global-headers',
])

/** The id stands in the returned mail or its header; some servers quote it in their text, or only answer to it. */
export function findOriginalId({ files, text, envelope }: ReportSource): string | null {
  for (const { declaredMimeType, bytes } of files) {
    if (!declaredMimeType || !RETURNED.has(declaredMimeType)) continue
    const block = findHeaderBlock(bytes)
    const [id] = messageIds(block && firstValue(block.fields, 'message-id'))
    if (id) return id
  }
  const quoted = /^[> \t]*message-id:[ \t]*(<[^<>\s]{1,993}>)/im.exec((text ?? '').slice(0, SCANNED_CHARACTERS))
  return messageIds(quoted?.[1] ?? null)[0] ?? envelope.inReplyTo[0] ?? envelope.references.at(-1) ?? null
}
