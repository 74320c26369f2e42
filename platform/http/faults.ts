import type { FastifyError, FastifyInstance } from 'fastify'
import { AppError, type ErrorCode } from '#platform/errors.ts'
import type { Log } from '#platform/log.ts'

const STATUS: Record<ErrorCode, number> = {
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  INVALID_INPUT: 400,
  LIMIT_REACHED: 413,
  UNAVAILABLE: 503,
  INTERNAL: 500,
}

/**
 * What goes wrong before GraphQL begins (no valid caller, a body too large or not JSON, an unknown path) is answered in
 * GraphQL's own form, so that clients read one kind of error. Texts of ours never leave: only the code's own sentence.
 */
export function answerFaultsAsGraphql(app: FastifyInstance, log: Log) {
  app.setErrorHandler((error: FastifyError | AppError, request, reply) => {
    const { status, body } = describeFault(error, log, request.url)
    return reply.code(status).send(body)
  })
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).send({ errors: [{ message: 'there is nothing here', extensions: { code: 'NOT_FOUND' } }] }),
  )
}

/** How such an error is answered; what we need to know of it goes to the log. */
export function describeFault(error: FastifyError | AppError, log: Log, url?: string) {
  const { code, message, extensions } = describe(error)
  if (code === 'INTERNAL') log.error({ err: error, url }, 'unforeseen error')
  if (code === 'UNAUTHENTICATED') log.info({ reason: reasonOf(error) }, 'refused a caller')
  // Too much at once and too much in a while are the same code, not the same advice.
  const status = 'retryAfterSeconds' in extensions ? 429 : STATUS[code]
  return { status, body: { errors: [{ message, extensions: { ...extensions, code } }] } }
}

function describe(error: FastifyError | AppError): { code: ErrorCode; message: string; extensions: object } {
  if (error instanceof AppError) return error
  if (error.statusCode === 413) {
    return { code: 'LIMIT_REACHED', message: 'the request is larger than this server takes', extensions: {} }
  }
  if (error.statusCode !== undefined && error.statusCode < 500) {
    return { code: 'INVALID_INPUT', message: 'the request is not readable', extensions: {} }
  }
  return { code: 'INTERNAL', message: 'internal error', extensions: {} }
}

function reasonOf(error: Error): string {
  return error.cause instanceof Error ? error.cause.message : error.message
}
