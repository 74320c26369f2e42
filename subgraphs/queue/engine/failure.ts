import { createHash } from 'node:crypto'
import { AppError } from '#platform/errors.ts'

/** Thrown by a task when no further attempt can help: the job becomes a dead letter at once. */
export class PermanentFailure extends Error {
  constructor(message: string, { cause }: { cause?: unknown } = {}) {
    super(message, { cause })
    this.name = 'PermanentFailure'
  }
}

/** Thrown by a task that knows when to come back. */
export class RetryLater extends Error {
  readonly retryAfterMs: number

  constructor(message: string, retryAfterMs: number, { cause }: { cause?: unknown } = {}) {
    super(message, { cause })
    this.name = 'RetryLater'
    this.retryAfterMs = retryAfterMs
  }
}

export type FailureFacts = {
  message: string
  details: Record<string, unknown>
  fingerprint: string
  permanent: boolean
  retryAfterMs: number | null
}

const LONGEST_MESSAGE = 2_000

/** What is kept of an error: enough to find it in the logs, no stack. Text that jsonb cannot hold is replaced. */
export function describeFailure(error: unknown): FailureFacts {
  const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) }
  const code = error instanceof AppError ? error.code : undefined
  const readable = message.slice(0, LONGEST_MESSAGE).replaceAll(/[\0\p{Surrogate}]/gu, '\u{fffd}')
  return {
    message: readable,
    details: { name, ...(code && { code }) },
    fingerprint: fingerprintOf(name, readable),
    permanent: error instanceof PermanentFailure,
    retryAfterMs: error instanceof RetryLater ? error.retryAfterMs : null,
  }
}

/** The same for errors that differ only in ids, numbers and quoted values: 16 hexadecimal digits. */
export function fingerprintOf(name: string, message: string): string {
  const pattern = message
    .replaceAll(/[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/gi, '#')
    .replaceAll(/"[^"]*"|'[^']*'/g, '#')
    .replaceAll(/\S+@\S+/g, '#')
    .replaceAll(/\d+/g, '#')
  return createHash('sha256').update(`${name}\0${pattern}`).digest('hex').slice(0, 16)
}
