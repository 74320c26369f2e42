import DKIM from 'nodemailer/lib/dkim/index.js'
import MailComposer from 'nodemailer/lib/mail-composer/index.js'
import { AppError } from '#platform/errors.ts'
import type { RenderedMail } from './renderMail.ts'

export type MailAddress = { email: string; name?: string | null }

/** What DKIM signs with; the key in PEM, from wherever its owner keeps it. */
export type DkimKey = { domain: string; selector: string; privateKey: string }

export type MailAttachment = { filename: string; contentType?: string; content: Buffer }

export type ComposeParts = {
  /** The reference of this mail: its Message-ID is made from it. */
  refId: string
  from: MailAddress
  to: MailAddress
  mail: Pick<RenderedMail, 'subject' | 'text' | 'html'> & { headers?: Record<string, string> }
  /** When it is written, by the business clock. */
  date: Date
  /** Message-IDs of the conversation so far, oldest first, without brackets; the last one is answered. */
  thread?: readonly string[]
  replyTo?: MailAddress | null
  attachments?: readonly MailAttachment[]
  dkim?: DkimKey | null
}

/** What a signature covers, of what is there: RFC 8058 asks for both headers by which one unsubscribes. */
const SIGNED_HEADERS = [
  ...['From', 'Sender', 'Reply-To', 'To', 'Subject', 'Date', 'Message-ID', 'In-Reply-To', 'References', 'MIME-Version'],
  ...['Content-Type', 'Content-Transfer-Encoding', 'List-Unsubscribe', 'List-Unsubscribe-Post'],
].join(':')

/** References beyond these are left out, oldest first but for the very first: as RFC 5322 readers do. */
const MAX_REFERENCES = 20

/** The Message-ID of a mail that we send, without brackets: known from its reference and its sender alone. */
export function messageIdOf(refId: string, senderEmail: string): string {
  return `${refId.replaceAll('-', '')}@${senderEmail.slice(senderEmail.lastIndexOf('@') + 1).toLowerCase()}`
}

/**
 * The mail as it goes over the wire (RFC 5322, CRLF). The same parts give the same bytes, but for a DKIM signature's time.
 * @throws AppError INVALID_INPUT for an address that is none, INTERNAL for a DKIM key that can't sign
 */
export async function composeMail(parts: ComposeParts): Promise<Buffer> {
  const { refId, from, to, mail, date, thread = [], replyTo, attachments = [], dkim } = parts
  const threadIds = thread.map((id) => `<${id.replace(/[<>\s]/g, '')}>`)
  const message = new MailComposer({
    from: readAddress(from, 'from'),
    to: readAddress(to, 'to'),
    ...(replyTo && { replyTo: readAddress(replyTo, 'replyTo') }),
    subject: mail.subject,
    ...(mail.text !== null && { text: mail.text }),
    ...(mail.html !== null && { html: mail.html }),
    ...(attachments.length > 0 && { attachments: [...attachments] }),
    headers: mail.headers ?? {},
    date,
    messageId: `<${messageIdOf(refId, from.email)}>`,
    ...(threadIds.length > 0 && { inReplyTo: threadIds.at(-1), references: shorten(threadIds) }),
    // Not among the types. The parts' boundaries are made from the reference instead of from chance.
    ...{ newline: 'windows', baseBoundary: refId.replaceAll('-', '') },
    disableFileAccess: true,
    disableUrlAccess: true,
  }).compile()
  return dkim ? sign(await message.build(), dkim) : message.build()
}

function shorten(references: readonly string[]): string[] {
  if (references.length <= MAX_REFERENCES) return [...references]
  return [...references.slice(0, 1), ...references.slice(1 - MAX_REFERENCES)]
}

async function sign(raw: Buffer, { domain, selector, privateKey }: DkimKey): Promise<Buffer> {
  const signed = new DKIM({
    domainName: domain,
    keySelector: selector,
    privateKey,
    headerFieldNames: SIGNED_HEADERS,
  }).sign(raw)
  const chunks: Buffer[] = []
  try {
    for await (const chunk of signed) chunks.push(chunk as Buffer)
  } catch (cause) {
    throw new AppError('INTERNAL', 'the mail could not be signed', { cause })
  }
  const bytes = Buffer.concat(chunks)
  // nodemailer leaves a message unsigned that it has no usable key for.
  if (!/^DKIM-Signature:/i.test(bytes.toString('latin1', 0, 20))) {
    throw new AppError('INTERNAL', 'the mail could not be signed: the DKIM key is unusable')
  }
  return bytes
}

/** Names are quoted or encoded by nodemailer; an address is taken as it is, so it must be nothing but one. */
function readAddress({ email, name }: MailAddress, field: string) {
  if (!/^[^\s<>(),;:"@[\]\\\p{Cc}]+@[^\s<>(),;:"@[\]\\\p{Cc}]+$/u.test(email)) {
    throw new AppError('INVALID_INPUT', `${field}: is not an address`)
  }
  return { address: email, name: name?.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim() ?? '' }
}
