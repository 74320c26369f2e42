import { unwrapResolverError } from '@apollo/server/errors'
import { GraphQLError, type GraphQLFormattedError } from 'graphql'
import { AppError, type ErrorCode } from '#platform/errors.ts'
import type { Log } from '#platform/log.ts'

/** Apollo's codes for what a client wrote wrong; their messages quote the client, nothing of ours. */
const CLIENT_FAULTS: Record<string, ErrorCode> = {
  BAD_REQUEST: 'INVALID_INPUT',
  BAD_USER_INPUT: 'INVALID_INPUT',
  GRAPHQL_PARSE_FAILED: 'INVALID_INPUT',
  GRAPHQL_VALIDATION_FAILED: 'INVALID_INPUT',
  OPERATION_RESOLUTION_FAILURE: 'INVALID_INPUT',
  PERSISTED_QUERY_NOT_FOUND: 'INVALID_INPUT',
  PERSISTED_QUERY_NOT_SUPPORTED: 'INVALID_INPUT',
}

/** What a lost, full or too slow database calls it: node, PostgreSQL, Prisma's codes, Prisma's adapter. */
const DATABASE_AWAY: ReadonlySet<unknown> = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'ETIMEDOUT', 'EPIPE'],
  ...['08000', '08001', '08003', '08006', '53300', '57014', '57P01', '57P02', '57P03'],
  ...['P1001', 'P1002', 'P1008', 'P1017', 'P2024'],
  ...['DatabaseNotReachable', 'ConnectionClosed', 'SocketTimeout', 'TooManyConnections'],
])

/** How pg's pool says that no connection came free in time; it has no code. */
const POOL_TIMEOUT = 'timeout exceeded when trying to connect'

/** PostgreSQL's word for text it does not take: a NUL, which only a client can have sent. */
const UNSTORABLE_TEXT = '22021'

/** Reading a query that is nested deeply enough ends so; nothing of ours does in what counts as the client's fault. */
const STACK_OVERFLOW = 'Maximum call stack size exceeded'
const TOO_DEEP = 'the query is nested too deeply'

/**
 * The error as it may leave the process: its code is one of ours, and only messages meant for the caller are kept.
 * Everything unforeseen becomes INTERNAL "internal error"; `isUnforeseen` tells which those are, for the log.
 */
export function formatError(formatted: GraphQLFormattedError, thrown: unknown): GraphQLFormattedError {
  const { locations, path } = formatted
  const { code, message, extensions } = describe(formatted, unwrapResolverError(thrown))
  return {
    message,
    ...(locations && { locations }),
    ...(path && { path }),
    extensions: { ...extensions, code },
  }
}

/** Whether an error is a fault of ours, to be logged with its stack. */
export function isUnforeseen(thrown: unknown): boolean {
  const cause = unwrapResolverError(thrown)
  if (cause instanceof AppError) return cause.code === 'INTERNAL'
  return clientFault(codeOf(thrown)) === undefined && !isArgumentFault(cause) && !isUnstorableText(cause)
}

/** A fault of ours goes to the log, with its stack. */
export function logUnforeseen(error: GraphQLError, log: Log, operationName: string | null | undefined): void {
  if (!isUnforeseen(error)) return
  log.error({ err: error.originalError ?? error, path: error.path, operationName }, 'unforeseen error')
}

function describe(formatted: GraphQLFormattedError, cause: unknown) {
  if (cause instanceof AppError) {
    const message = cause.code === 'INTERNAL' ? 'internal error' : cause.message
    return { code: cause.code, message, extensions: cause.extensions }
  }
  const fault = isArgumentFault(cause) ? 'INVALID_INPUT' : clientFault(formatted.extensions?.code)
  if (fault)
    return {
      code: fault,
      message: formatted.message.startsWith(STACK_OVERFLOW) ? TOO_DEEP : formatted.message,
      extensions: {},
    }
  if (isUnstorableText(cause)) {
    return { code: 'INVALID_INPUT', message: 'a text holds a NUL character', extensions: {} }
  }
  if (isDatabaseAway(cause)) return { code: 'UNAVAILABLE', message: 'the database does not answer', extensions: {} }
  return { code: 'INTERNAL', message: 'internal error', extensions: {} }
}

function clientFault(code: unknown): ErrorCode | undefined {
  return typeof code === 'string' ? CLIENT_FAULTS[code] : undefined
}

/** A required argument whose variable was left out is only noticed while executing, and gets no code then. */
function isArgumentFault(error: unknown): boolean {
  return error instanceof GraphQLError && !error.originalError && error.message.startsWith('Argument "')
}

function isDatabaseAway(error: unknown): boolean {
  return linksOf(error).some(
    ({ code, kind, message }) => DATABASE_AWAY.has(code) || DATABASE_AWAY.has(kind) || message === POOL_TIMEOUT,
  )
}

function isUnstorableText(error: unknown): boolean {
  return linksOf(error).some(({ code, originalCode }) => code === UNSTORABLE_TEXT || originalCode === UNSTORABLE_TEXT)
}

type Link = {
  code?: unknown
  originalCode?: unknown
  kind?: unknown
  message?: unknown
  cause?: unknown
  meta?: { driverAdapterError?: unknown }
}

/** An error, what caused it, and so on; Prisma keeps the database's own error among its data. */
function linksOf(error: unknown): Link[] {
  const links: Link[] = []
  let link = error as Link | null | undefined
  while (typeof link === 'object' && link !== null && links.length < 5) {
    links.push(link)
    link = (link.cause ?? link.meta?.driverAdapterError) as Link | undefined
  }
  return links
}

function codeOf(thrown: unknown): unknown {
  return (thrown as { extensions?: { code?: unknown } } | null)?.extensions?.code
}
