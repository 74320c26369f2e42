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
  bounce: { type: 'hard' | 'soft'; originalMessageId: string | null } | null
}

const STORE_MESSAGES = `mutation StoreMessages($messages: [StoreMessageInput!]!) {
  storeMessages(messages: $messages) {
    storageKey parseStatus messageId inReplyTo references fromEmail toEmails subject hasAttachments messageKind
    bounce { type originalMessageId }
  }
}`

const MAILS_PER_CALL = 50
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
    bounce: mail.bounce && { ...mail.bounce, type: mail.bounce.type.toLowerCase() as 'hard' | 'soft' },
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
