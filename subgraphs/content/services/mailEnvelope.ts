import addressparser from 'nodemailer/lib/addressparser/index.js'
import type { HeaderField } from './mailHeaders.ts'
import { cutText, storableText } from './mailText.ts'

/** Who wrote to whom about what, and in answer to what. Ids keep their angle brackets; addresses are lower case. */
export type Envelope = {
  messageId: string | null
  inReplyTo: string[]
  /** Oldest first, as the mail has them. */
  references: string[]
  fromEmail: string | null
  /** Where answers are to go, when not to who sent it. */
  replyTo: string | null
  /** Where it was delivered to first (Delivered-To, X-Original-To, Envelope-To), then To and Cc. */
  toEmails: string[]
  subject: string | null
  date: Date | null
}

export const EMPTY_ENVELOPE: Envelope = {
  messageId: null,
  inReplyTo: [],
  references: [],
  fromEmail: null,
  replyTo: null,
  toEmails: [],
  subject: null,
  date: null,
}

const RECIPIENT_FIELDS = ['delivered-to', 'x-original-to', 'envelope-to', 'to', 'cc']
const MAX_RECIPIENTS = 100
const MAX_REFERENCES = 100
const MAX_ADDRESS_LENGTH = 320
const MAX_SUBJECT_LENGTH = 2000
const YEARS = { first: 1970, last: 2200 }

/** Reads the envelope from decoded header fields. */
export function readEnvelope(fields: readonly HeaderField[]): Envelope {
  const subject = firstValue(fields, 'subject')
  return {
    messageId: messageIds(firstValue(fields, 'message-id'))[0] ?? null,
    inReplyTo: messageIds(firstValue(fields, 'in-reply-to')).slice(0, MAX_REFERENCES),
    references: messageIds(firstValue(fields, 'references')).slice(-MAX_REFERENCES),
    fromEmail: addresses(firstValue(fields, 'from') ?? firstValue(fields, 'sender'))[0] ?? null,
    replyTo: addresses(firstValue(fields, 'reply-to'))[0] ?? null,
    toEmails: [...new Set(RECIPIENT_FIELDS.flatMap((name) => allValues(fields, name).flatMap(addresses)))].slice(
      0,
      MAX_RECIPIENTS,
    ),
    subject: subject === null ? null : cutText(subject, MAX_SUBJECT_LENGTH),
    date: readDate(firstValue(fields, 'date')),
  }
}

/** The value of the first field of that name; null when there is none. */
export function firstValue(fields: readonly HeaderField[], name: string): string | null {
  return fields.find((field) => field.name === name)?.value ?? null
}

/** Message ids of a field, in angle brackets; a bare one gets them. */
export function messageIds(value: string | null): string[] {
  if (!value) return []
  const found: string[] = value.match(/<[^<>\s]{1,995}>/g) ?? []
  if (found.length > 0) return found.map(storableText)
  const bare = value.trim()
  return /^[^<>\s]{1,993}$/.test(bare) ? [storableText(`<${bare}>`)] : []
}

/** Mail addresses of a field, lower case; what is no address is left out. */
export function addresses(value: string | null): string[] {
  if (!value) return []
  return addressparser(value, { flatten: true })
    .map(({ address }) => storableText(address).toLowerCase())
    .filter((address) => address.length <= MAX_ADDRESS_LENGTH && /^[^\s@<>]+@[^\s@<>]+$/.test(address))
}

function allValues(fields: readonly HeaderField[], name: string): string[] {
  return fields.filter((field) => field.name === name).map((field) => field.value)
}

function readDate(value: string | null): Date | null {
  if (!value) return null
  const date = new Date(value.replace(/\([^()]*\)/g, ''))
  const year = date.getUTCFullYear()
  return year >= YEARS.first && year <= YEARS.last ? date : null
}
