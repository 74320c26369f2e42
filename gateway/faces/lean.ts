import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { FastifyError } from 'fastify'
import Negotiator from 'negotiator'
import { AppError } from '#platform/errors.ts'
import { describeFault } from '#platform/httpErrors.ts'
import type { Log } from '#platform/log.ts'
import type { Metrics } from '#platform/metrics.ts'
import type { AddressOf } from '../callerAddress.ts'
import type { OriginHeaders } from '../cors.ts'
import type { Outcome } from '../execution/operation.ts'
import { readGraphqlRequest } from '../pipeline/graphqlRequest.ts'
import { formatOutcomeErrors, formatThrown, type Pipeline } from '../pipeline/pipeline.ts'
import { requestIdOf } from '../pipeline/requestId.ts'
import { SECURE_HEADERS } from '../secureHeaders.ts'
import type { GatewayContext } from '../tiers/context.ts'
import { readBody } from './body.ts'

const JSON_TYPE = 'application/json'
const LONG_TEXT = 16 * 1024
const GRAPHQL_TYPE = 'application/graphql-response+json'

export type LeanFaceOptions = {
  pipeline: Pipeline
  maxRequestBytes: number
  addressOf: AddressOf
  originHeaders: OriginHeaders
  metrics: Metrics
  log: Log
  /** Whether the process is about to end: connections are closed after their answer then. */
  isClosing: () => boolean
}

/** Whether a request is one for the lean face. */
export function isLean({ method, url = '' }: IncomingMessage): boolean {
  return method === 'POST' && (url === '/graphql' || url.startsWith('/graphql?'))
}

/** `POST /graphql` on node:http itself: what a framework does for every request is what most of them would pay for. */
export function makeLeanFace(options: LeanFaceOptions): RequestListener {
  const observe = makeObserver(options.metrics)
  return (request, response) => {
    const start = performance.now()
    response.on('finish', () => observe(response.statusCode, (performance.now() - start) / 1000))
    answer(request, response, options).catch((error: Error) => answerFault(error, request, response, options))
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, options: LeanFaceOptions): Promise<void> {
  const { pipeline, maxRequestBytes, addressOf } = options
  const requestId = requestIdOf(request.headers['x-request-id'])
  response.setHeader('x-request-id', requestId)
  // Before the body is read: a stranger must not make us hold a large one.
  const arrival = { authorization: request.headers.authorization, address: addressOf(request), requestId }
  const context = await pipeline.identify(arrival, (headers) => response.setHeaders(new Map(Object.entries(headers))))
  const contentType = negotiate(request.headers.accept)
  if (!contentType) {
    send(request, response, options, { status: 406, contentType: JSON_TYPE, text: NOT_ACCEPTABLE })
    return
  }
  const asked = readGraphqlRequest(parseJson(await readBody(request, maxRequestBytes)))
  const { text, isRefused } = await run(asked, context, pipeline)
  const status = isRefused && !(request.headers.accept?.includes(JSON_TYPE) && contentType === JSON_TYPE) ? 400 : 200
  send(request, response, options, { status, contentType, text })
}

/** The answer's text; an operation that is refused as a whole is answered in the same form. */
async function run(asked: Parameters<Pipeline['run']>[0], context: GatewayContext, pipeline: Pipeline) {
  const { requestId } = context.caller
  try {
    const outcome = await pipeline.run(asked, context)
    return { text: writeOutcome(outcome, context), isRefused: 'errors' in outcome }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const errors = [formatThrown(error, () => context.log)]
    return { text: JSON.stringify({ errors, extensions: { requestId } }), isRefused: true }
  }
}

function writeOutcome(outcome: Outcome, context: GatewayContext): string {
  const errors = formatOutcomeErrors(outcome, () => context.log)
  const head = errors.length > 0 ? `{"errors":${JSON.stringify(errors)},` : '{'
  const data = 'data' in outcome ? `"data":${outcome.data},` : ''
  return `${head}${data}"extensions":{"requestId":"${context.caller.requestId}"}}`
}

type Answer = { status: number; contentType: string; text: string }

function send(
  { headers }: IncomingMessage,
  response: ServerResponse,
  { originHeaders, isClosing }: LeanFaceOptions,
  { status, contentType, text }: Answer,
): void {
  // A short text goes out in one piece with its head; a long one is turned into bytes once, not counted and then turned.
  const body = text.length > LONG_TEXT ? Buffer.from(text) : text
  response.writeHead(status, {
    'content-type': `${contentType}; charset=utf-8`,
    'content-length': Buffer.byteLength(body),
    ...SECURE_HEADERS,
    ...originHeaders(headers.origin),
    ...(isClosing() && { connection: 'close' }),
  })
  response.end(body)
}

function answerFault(error: Error, request: IncomingMessage, response: ServerResponse, options: LeanFaceOptions): void {
  if (response.destroyed || response.headersSent) return
  const { status, body } = describeFault(error as FastifyError, options.log, request.url)
  if (status === 401) response.setHeader('www-authenticate', 'Bearer')
  // What is left of a body that nobody wants would be taken for the next request.
  if (!request.complete) response.setHeader('connection', 'close')
  send(request, response, options, { status, contentType: JSON_TYPE, text: JSON.stringify(body) })
}

const NOT_ACCEPTABLE = JSON.stringify({
  errors: [{ message: `answers are ${JSON_TYPE} or ${GRAPHQL_TYPE}`, extensions: { code: 'INVALID_INPUT' } }],
})

function negotiate(accept: string | undefined): string | undefined {
  if (accept === undefined || accept === '*/*' || accept === JSON_TYPE) return JSON_TYPE
  if (accept === GRAPHQL_TYPE) return GRAPHQL_TYPE
  return new Negotiator({ headers: { accept } }).mediaType([JSON_TYPE, GRAPHQL_TYPE])
}

/** @throws AppError INVALID_INPUT */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new AppError('INVALID_INPUT', 'the request is not readable', { cause })
  }
}

/** Labels are looked up once for each status, not at each request. */
function makeObserver({ requests }: Metrics): (status: number, seconds: number) => void {
  const known = new Map<number, { observe: (seconds: number) => void }>()
  return (status, seconds) => {
    const histogram = known.get(status) ?? requests.labels({ method: 'POST', route: '/graphql', status })
    known.set(status, histogram)
    histogram.observe(seconds)
  }
}
