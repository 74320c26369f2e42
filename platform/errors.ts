/** Every code a client can meet in `extensions.code`; a closed list, part of the API. */
export const ERROR_CODES = [
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'NOT_FOUND',
  'CONFLICT',
  'INVALID_INPUT',
  'LIMIT_REACHED',
  'UNAVAILABLE',
  'INTERNAL',
] as const
export type ErrorCode = (typeof ERROR_CODES)[number]

/** Extra facts for the caller (a field's name, a limit): they leave the platform, so nothing internal belongs in them. */
export type ErrorFacts = { cause?: unknown; extensions?: Record<string, unknown> }

/**
 * An error whose message may be shown to the caller.
 * Services throw it, resolvers never catch it, one formatter per process maps it; everything else leaves as INTERNAL.
 */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly extensions: Record<string, unknown>

  constructor(code: ErrorCode, message: string, { cause, extensions = {} }: ErrorFacts = {}) {
    super(message, { cause })
    this.name = 'AppError'
    this.code = code
    this.extensions = extensions
  }
}

/** Whether a value found in someone else's answer is one of our codes. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return (ERROR_CODES as readonly unknown[]).includes(value)
}
