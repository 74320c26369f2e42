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

/** What a mail may answer, likeliest first: the mail it reports on, In-Reply-To, References from the newest back. */
export function answeredMessageIds({ bounce, inReplyTo, references }: StoredMail): string[] {
  const likeliestFirst = [bounce?.originalMessageId ?? null, ...inReplyTo.slice(0, MAX_ANSWERED_IDS)]
  for (const reference of references.slice(-MAX_ANSWERED_IDS).reverse()) likeliestFirst.push(reference)
  const ids = likeliestFirst.map(normalizeMessageId).filter((id) => id !== null)
  return [...new Set(ids)].slice(0, MAX_ANSWERED_IDS)
}
