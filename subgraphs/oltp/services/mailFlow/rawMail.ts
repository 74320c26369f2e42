import { createHash } from 'node:crypto'
import { AppError } from '#platform/errors.ts'

/** A mail as it came. */
export type RawMail = {
  /** As the client sent it: passed on without coding it again. */
  base64: string
  /** SHA-256 of its bytes, in hex. */
  hash: string
  /** Where the content tier keeps it. */
  storageKey: string
}

/**
 * Reads a raw mail. Its form doesn't matter: what is no mail is kept all the same.
 * @throws AppError INVALID_INPUT for 0 bytes or what is no base64; LIMIT_REACHED above `maxBytes`
 */
export function readRawMail(base64: string, maxBytes: number): RawMail {
  const bytes = Buffer.from(base64, 'base64')
  if (bytes.length !== decodedLength(base64)) throw new AppError('INVALID_INPUT', 'raw: is not base64')
  if (bytes.length === 0) throw new AppError('INVALID_INPUT', 'raw: the mail has 0 bytes')
  if (bytes.length > maxBytes) {
    throw new AppError('LIMIT_REACHED', `raw: the mail has more than ${maxBytes} bytes`, { extensions: { maxBytes } })
  }
  const hash = createHash('sha256').update(bytes).digest('hex')
  return { base64, hash, storageKey: `mail/${hash}` }
}

/** What makes two mails in one mailbox the same: Message-ID and raw bytes. */
export function dedupKey(messageId: string | null, rawHash: string): string {
  return createHash('sha256')
    .update(`${messageId ?? ''}\0${rawHash}`)
    .digest('hex')
}

/** How many bytes a base64 text stands for; Node skips what is none, so the lengths differ then. */
function decodedLength(base64: string): number {
  const digits = base64.replace(/[\s=]+/g, '').length
  return Math.floor((digits * 3) / 4)
}
