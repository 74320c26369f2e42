import type { ServiceClient } from '#platform/graph/serviceClient.ts'
import type { RawMail } from './rawMail.ts'

/** What the content tier read in a mail that it has stored. */
export type StoredMail = {
  storageKey: string
  parseStatus: 'parsed' | 'partial' | 'unparsed'
  messageId: string | null
  inReplyTo: string[]
  references: string[]
  fromEmail: string | null
  toEmails: string[]
  subject: string | null
  hasAttachments: boolean
  messageKind: 'email' | 'bounce' | 'auto_reply'
  /** What it tells of another mail; not to be believed before that mail is found. */
  report: { originalMessageId: string | null; recipients: ReportedRecipient[] } | null
  /** Sent to many, by a list or a newsletter. */
  isBulk: boolean
}

/** What became of a mail for one of its recipients. Addresses are lower case. */
export type ReportedRecipient = {
  recipient: string | null
  originalRecipient: string | null
  outcome: 'bounced' | 'delayed' | 'delivered' | 'complained'
  bounceType: 'hard' | 'soft' | null
  status: string | null
  diagnostic: string | null
}

const STORE_MESSAGES = `mutation StoreMessages($messages: [StoreMessageInput!]!) {
  storeMessages(messages: $messages) {
    storageKey parseStatus messageId inReplyTo references fromEmail toEmails subject hasAttachments messageKind isBulk
    report { originalMessageId recipients { recipient originalRecipient outcome bounceType status diagnostic } }
  }
}`

/** Mails that one call of the content tier stores. */
export const MAILS_PER_CALL = 50
const CHARACTERS_PER_CALL = 24 * 1024 * 1024
const TIMEOUT_MS = 60_000

/**
 * Has the content tier store and read the mails of one tenant; a mail it has already changes nothing.
 * Answers by storage key.
 * @throws AppError UNAVAILABLE when the content tier does not answer
 */
export async function storeMails(
  content: ServiceClient,
  mails: readonly RawMail[],
  options: { tenantId: string; requestId: string },
): Promise<Map<string, StoredMail>> {
  const stored = new Map<string, StoredMail>()
  for (const messages of splitIntoCalls(mails)) {
    const data = await content.request<{ storeMessages: StoredMail[] }>(
      STORE_MESSAGES,
      { messages: messages.map(({ storageKey, base64 }) => ({ storageKey, raw: base64 })) },
      { ...options, timeoutMs: TIMEOUT_MS },
    )
    for (const mail of data.storeMessages) stored.set(mail.storageKey, readAnswer(mail))
  }
  return stored
}

/** Enums come in the upper case of GraphQL; here they are as the database has them. */
function readAnswer(mail: StoredMail): StoredMail {
  return {
    ...mail,
    parseStatus: mail.parseStatus.toLowerCase() as StoredMail['parseStatus'],
    messageKind: mail.messageKind.toLowerCase() as StoredMail['messageKind'],
    report: mail.report && { ...mail.report, recipients: mail.report.recipients.map(readRecipient) },
  }
}

function readRecipient(recipient: ReportedRecipient): ReportedRecipient {
  return {
    ...recipient,
    outcome: recipient.outcome.toLowerCase() as ReportedRecipient['outcome'],
    bounceType: (recipient.bounceType?.toLowerCase() ?? null) as ReportedRecipient['bounceType'],
  }
}

function splitIntoCalls(mails: readonly RawMail[]): RawMail[][] {
  const calls: RawMail[][] = []
  let room = 0
  for (const mail of new Map(mails.map((mail) => [mail.storageKey, mail])).values()) {
    const last = calls.at(-1)
    room -= mail.base64.length
    if (last && room >= 0 && last.length < MAILS_PER_CALL) {
      last.push(mail)
    } else {
      calls.push([mail])
      room = CHARACTERS_PER_CALL - mail.base64.length
    }
  }
  return calls
}
