import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { FastifyError } from 'fastify'
import Negotiator from 'negotiator'
import { AppError } from '#platform/errors.ts'
import { describeFault } from '#platform/http/faults.ts'
import type { Log } from '#platform/log.ts'
import type { Metrics } from '#platform/metrics.ts'
import { readBody } from './body.ts'
import { type GraphqlRequest, readGraphqlRequest } from './graphqlRequest.ts'

const JSON_TYPE = 'application/json'
const GRAPHQL_TYPE = 'application/graphql-response+json'
const LONG_TEXT = 16 * 1024

/** The JSON of an answer; `isRefused` where nothing of the operation was run. */
export type GraphqlAnswer = { text: string; isRefused: boolean }

export type GraphqlListenerOptions<Identity> = {
  maxRequestBytes: number
  /** Who is asking, before the body is read: a stranger must not make us hold a large one. @throws AppError */
  identify: (request: IncomingMessage, response: ServerResponse) => Identity | Promise<Identity>
  answer: (asked: GraphqlRequest, identity: Identity) => Promise<GraphqlAnswer>
  /** Headers of every answer to a request. */
  headersOf?: (request: IncomingMessage) => Record<string, string>
  /** What a caller who is refused should have come with; see WWW-Authenticate. */
  challenge?: string
  metrics: Metrics
  log: Log
  /** Whether the process is about to end: connections are closed after their answer then. */
  isClosing: () => boolean
}

/** Whether a request is one for such a listener. */
export function isGraphqlPost({ method, url = '' }: IncomingMessage): boolean {
  return method === 'POST' && (url === '/graphql' || url.startsWith('/graphql?'))
}

/** `POST /graphql` on node:http itself: what a framework does for every request is what most of them would pay for. */
export function makeGraphqlListener<Identity>(options: GraphqlListenerOptions<Identity>): RequestListener {
  const observe = makeObserver(options.metrics)
  return (request, response) => {
    const start = performance.now()
    response.on('finish', () => observe(response.statusCode, (performance.now() - start) / 1000))
    answer(request, response, options).catch((error: Error) => answerFault(error, request, response, options))
  }
}

async function answer<Identity>(
  request: IncomingMessage,
  response: ServerResponse,
  options: GraphqlListenerOptions<Identity>,
): Promise<void> {
  const identity = await options.identify(request, response)
  const contentType = negotiate(request.headers.accept)
  if (!contentType) {
    send(request, response, options, { status: 406, contentType: JSON_TYPE, text: NOT_ACCEPTABLE })
    return
  }
  const asked = readGraphqlRequest(parseJson(await readBody(request, options.maxRequestBytes)))
  const { text, isRefused } = await options.answer(asked, identity)
  const status = isRefused && !(request.headers.accept?.includes(JSON_TYPE) && contentType === JSON_TYPE) ? 400 : 200
  send(request, response, options, { status, contentType, text })
}

type Sent = { status: number; contentType: string; text: string }

function send<Identity>(
  request: IncomingMessage,
  response: ServerResponse,
  { headersOf, isClosing }: GraphqlListenerOptions<Identity>,
  { status, contentType, text }: Sent,
): void {
  // A short text goes out in one piece with its head; a long one is turned into bytes once, not counted and then turned.
  const body = text.length > LONG_TEXT ? Buffer.from(text) : text
  response.writeHead(status, {
    'content-type': `${contentType}; charset=utf-8`,
    'content-length': Buffer.byteLength(body),
    ...headersOf?.(request),
    ...(isClosing() && { connection: 'close' }),
  })
  response.end(body)
}

function answerFault<Identity>(
  error: Error,
  request: IncomingMessage,
  response: ServerResponse,
  options: GraphqlListenerOptions<Identity>,
): void {
  if (response.destroyed || response.headersSent) return
  const { status, body } = describeFault(error as FastifyError, options.log, request.url)
  if (status === 401 && options.challenge) response.setHeader('www-authenticate', options.challenge)
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
