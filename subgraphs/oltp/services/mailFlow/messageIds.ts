import { createHash } from 'node:crypto'
import { cleanText } from '../texts.ts'
import type { StoredMail } from './storedMail.ts'

/** An index entry holds some 2,700 bytes, and a header line is meant to have at most 998. */
const MAX_INDEXED_LENGTH = 500

/** References beyond this are ignored, oldest first: a thread's next of kin are the newest. */
const MAX_ANSWERED_IDS = 50

/** A Message-ID as it is kept and compared: without brackets, its hash when it is too long to index; null when empty. */
export function normalizeMessageId(messageId: string | null): string | null {
  const id = cleanText(
    messageId
      ?.trim()
      .replace(/^<+|>+$/g, '')
      .trim(),
    100_000,
  )
  if (id === null || id.length <= MAX_INDEXED_LENGTH) return id
  return `sha256:${createHash('sha256').update(id).digest('hex')}`
}

/**
 * What a mail may answer, likeliest first: In-Reply-To, References from the newest back. A report answers the mail that it
 * names and no other.
 */
export function answeredMessageIds({ report, inReplyTo, references }: StoredMail): string[] {
  const likeliestFirst = report
    ? [report.originalMessageId]
    : [...inReplyTo.slice(0, MAX_ANSWERED_IDS), ...references.slice(-MAX_ANSWERED_IDS).reverse()]
  const ids = likeliestFirst.map(normalizeMessageId).filter((id) => id !== null)
  return [...new Set(ids)].slice(0, MAX_ANSWERED_IDS)
}

const OWN_ID = /^([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})@/i

/** The references that our own Message-IDs among these were made from: they hold it, whatever a relay made of the rest. */
export function ownReferenceIds(messageIds: readonly string[]): string[] {
  return messageIds.flatMap((messageId) => OWN_ID.exec(messageId)?.slice(1).join('-').toLowerCase() ?? [])
}
