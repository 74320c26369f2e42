import type { Envelope } from './mailEnvelope.ts'
import { addresses, firstValue, messageIds } from './mailEnvelope.ts'
import { findHeaderBlock, type HeaderField } from './mailHeaders.ts'
import { cutText, storableText } from './mailText.ts'
import type { MimeFile } from './mimeReading.ts'

/** A mail that came back, as its report tells. */
export type Bounce = {
  /** `hard`: will never arrive (5.x.x); `soft`: not now (4.x.x), or nobody says. */
  type: 'hard' | 'soft'
  /** RFC 3463 status, e.g. `5.1.1`. */
  status: string | null
  /** Message-ID of the mail that came back, in angle brackets. */
  originalMessageId: string | null
  recipient: string | null
}

/** What a report is read from. */
export type ReportSource = {
  fields: readonly HeaderField[]
  text: string | null
  files: readonly MimeFile[]
  envelope: Envelope
}

const SCANNED_CHARACTERS = 64 * 1024
const RETURNED = new Set([
  'message/rfc822',
  'message/rfc822-headers',
  'text/rfc822-headers',
  'message/global',
  'message/global-headers',
])
const BOUNCE_SUBJECT =
  /undeliver|delivery (status notification|failure|has failed|notification|report)|returned mail|mail delivery (failed|system)|failure notice|could not be delivered|non-?deliver/i
const DAEMON = /^(mailer-daemon|postmaster|mail-daemon|mailerdaemon)@/

/**
 * The bounce a mail reports: an RFC 3464 delivery status, or the prose of a mail server that knows none.
 * Null for every other mail, also for the report of a success.
 */
export function findBounce(source: ReportSource): Bounce | null {
  const report = source.files.find(({ declaredMimeType }) => isDeliveryStatus(declaredMimeType))
  if (report) return readDeliveryStatus(report, source)
  return isClassicBounce(source) ? readClassicBounce(source) : null
}

/** Whether the mail carries a delivery status, of failure or success. */
export function hasDeliveryStatus(files: readonly MimeFile[]): boolean {
  return files.some(({ declaredMimeType }) => isDeliveryStatus(declaredMimeType))
}

function isDeliveryStatus(mimeType: string | null): boolean {
  return mimeType === 'message/delivery-status' || mimeType === 'message/global-delivery-status'
}

type RecipientStatus = { action: string; status: string | null; recipient: string | null }

function readDeliveryStatus(report: MimeFile, source: ReportSource): Bounce | null {
  const failures = readRecipients(report.bytes).filter(isFailure)
  const worst = failures.find(isHard) ?? failures[0]
  if (!worst) return null
  return {
    type: isHard(worst) ? 'hard' : 'soft',
    status: worst.status,
    originalMessageId: findOriginalId(source),
    recipient: worst.recipient,
  }
}

function isFailure({ action, status }: RecipientStatus): boolean {
  return action.startsWith('fail') || action === 'delayed' || (action === '' && /^[45]/.test(status ?? ''))
}

/** A hard bounce suppresses the address for good: without a 5.x.x nobody has said so. */
function isHard({ action, status }: RecipientStatus): boolean {
  return status?.startsWith('5') === true && action !== 'delayed'
}

/** The first group of fields is about the report, each further one about a recipient. */
function readRecipients(bytes: Buffer): RecipientStatus[] {
  const text = bytes.toString('latin1', 0, SCANNED_CHARACTERS).replace(/\r\n/g, '\n')
  return text
    .split(/\n[ \t]*\n/)
    .map((group) => readGroup(group))
    .filter((group) => group.has('action') || group.has('status') || group.has('final-recipient'))
    .map((group) => ({
      action: (group.get('action') ?? '').toLowerCase(),
      status: findStatus(group.get('status')) ?? findStatus(group.get('diagnostic-code')),
      recipient: addressOf(group.get('original-recipient')) ?? addressOf(group.get('final-recipient')),
    }))
}

function readGroup(group: string): Map<string, string> {
  const fields = new Map<string, string>()
  for (const line of group.replace(/\n[ \t]+/g, ' ').split('\n')) {
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(colon, 0)).trim().toLowerCase()
    if (name && !fields.has(name)) fields.set(name, line.slice(colon + 1).trim())
  }
  return fields
}

/** `rfc822; someone@example.com` */
function addressOf(field: string | undefined): string | null {
  return addresses(field?.split(';').at(-1) ?? null)[0] ?? null
}

function findStatus(text: string | null | undefined): string | null {
  if (!text) return null
  const enhanced = /(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])/.exec(text)
  if (enhanced) return `${enhanced[1]}.${enhanced[2]}.${enhanced[3]}`
  const reply = /(?<![\d.])([45])[0-5]\d(?=[\s-])/.exec(text)
  return reply ? `${reply[1]}.0.0` : null
}

/** The id stands in the returned mail or its header; some servers only answer to it. */
function findOriginalId({ files, text, envelope }: ReportSource): string | null {
  for (const { declaredMimeType, bytes } of files) {
    if (!declaredMimeType || !RETURNED.has(declaredMimeType)) continue
    const block = findHeaderBlock(bytes)
    const [id] = messageIds(block && firstValue(block.fields, 'message-id'))
    if (id) return id
  }
  const quoted = /^[> \t]*message-id:[ \t]*(<[^<>\s]{1,993}>)/im.exec((text ?? '').slice(0, SCANNED_CHARACTERS))
  return messageIds(quoted?.[1] ?? null)[0] ?? envelope.inReplyTo[0] ?? envelope.references.at(-1) ?? null
}

/** No status part: a daemon writes with the null sender, or under a subject that only a bounce has. */
function isClassicBounce({ fields, envelope }: ReportSource): boolean {
  if (firstValue(fields, 'x-failed-recipients')) return true
  const nullSender = firstValue(fields, 'return-path')?.replace(/\s/g, '') === '<>'
  const daemon = DAEMON.test(envelope.fromEmail ?? '')
  return (daemon || nullSender) && BOUNCE_SUBJECT.test(envelope.subject ?? '')
}

function readClassicBounce(source: ReportSource): Bounce {
  const text = (source.text ?? '').slice(0, SCANNED_CHARACTERS)
  const status = findStatus(text)
  const named = firstValue(source.fields, 'x-failed-recipients') ?? /<([^<>\s@]+@[^<>\s@]+)>/.exec(text)?.[1]
  return {
    type: status?.startsWith('5') ? 'hard' : 'soft',
    status: status && cutText(storableText(status), 20),
    originalMessageId: findOriginalId(source),
    recipient: addresses(named ?? null)[0] ?? null,
  }
}
