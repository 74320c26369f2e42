import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { createHandler, type OperationResult } from 'graphql-sse'
import { AppError } from '#platform/errors.ts'
import { readGraphqlRequest } from '#platform/http/graphqlRequest.ts'
import type { Pipeline } from '../pipeline/pipeline.ts'
import { requestIdOf } from '../pipeline/requestId.ts'
import type { PersistedQueries } from '../registry/persistedQueries.ts'
import type { GatewayContext } from '../tiers/context.ts'
import { EventStream } from './eventStream.ts'
import type { OpenStreams } from './openStreams.ts'
import type { Subscription, Subscriptions } from './subscriptions.ts'

export const STREAM_PATH = '/graphql/stream'

const EVENT_STREAM = 'text/event-stream'
const JSON_TYPE = 'application/json'

export type LiveDoorOptions = {
  pipeline: Pipeline
  persisted: PersistedQueries
  subscriptions: Subscriptions
  streams: OpenStreams
  /** How long a client may take nothing of what it was sent. */
  stallMs: number
}

/** What graphql-sse hands through. */
type Live = Subscription & {
  /** Positions of the answers that are on their way. */
  ids: (string | undefined)[]
}

/**
 * Subscriptions by server-sent events, as graphql-sse has them: one connection each. `Last-Event-ID` goes on from an
 * earlier event.
 */
export function addLiveDoor(app: FastifyInstance, options: LiveDoorOptions): void {
  const { pipeline, subscriptions } = options
  const contexts = new WeakMap<FastifyRequest, GatewayContext>()
  const handle = createHandler<FastifyRequest, Live>({
    // One connection for each subscription: no token, under which several would share one.
    authenticate: () => null,
    // Its answers' errors are formatted already: there is nothing left of them for the handler to print.
    onSubscribe: ({ context: live }, { query, operationName, variables }) =>
      subscriptions.begin(
        { query, operationName: operationName ?? undefined, variables: { ...variables } },
        live,
      ) as Promise<OperationResult>,
  })
  app.route({
    method: ['GET', 'POST'],
    url: STREAM_PATH,
    // Before the body is read: a stranger must not make us hold a large one.
    onRequest: async (request, reply) => {
      const requestId = requestIdOf(request.headers['x-request-id'])
      reply.headers({ 'x-request-id': requestId, 'www-authenticate': 'Bearer' })
      const arrival = { authorization: request.headers.authorization, address: request.ip, requestId }
      contexts.set(request, await pipeline.identify(arrival, (headers) => reply.headers(headers)))
      reply.removeHeader('www-authenticate')
    },
    handler: async (request, reply) => {
      const context = contexts.get(request)
      if (!context) throw new AppError('UNAUTHENTICATED', 'a bearer token is required')
      await openStream(request, reply, context, { ...options, handle })
      return reply
    },
  })
}

type Handle = ReturnType<typeof createHandler<FastifyRequest, Live>>

async function openStream(
  request: FastifyRequest,
  reply: FastifyReply,
  context: GatewayContext,
  { handle, persisted, streams, stallMs }: LiveDoorOptions & { handle: Handle },
): Promise<void> {
  if (!(request.headers.accept ?? '').includes(EVENT_STREAM)) {
    throw new AppError('INVALID_INPUT', `accept: a stream is ${EVENT_STREAM}`)
  }
  const asked = readGraphqlRequest(request.method === 'GET' ? readQueryString(request) : request.body)
  const body = { query: persisted.resolve(asked), operationName: asked.operationName, variables: asked.variables }
  const stream = new EventStream(reply.raw, { stallMs })
  const ending = new AbortController()
  const { tenantId, userId } = context.caller
  const tenant = tenantId ?? `staff ${userId}`
  const leave = streams.add({ tenant, address: request.ip }, () => {
    stream.end()
    ending.abort()
  })
  reply.raw.on('close', () => {
    leave()
    ending.abort()
  })
  const ids: Live['ids'] = []
  const live: Live = {
    ...{ context, ids, signal: ending.signal },
    stream: { ready: () => stream.ready(), note: (id) => stream.note(id) },
    sendId: (id) => ids.push(id),
    lastEventId: oneOf(request.headers['last-event-id']) || undefined,
  }
  try {
    const [pieces, { status, headers }] = await handle({
      method: 'POST',
      url: STREAM_PATH,
      headers: new Headers({ accept: EVENT_STREAM, 'content-type': JSON_TYPE }),
      body,
      raw: request,
      context: live,
    })
    if (typeof pieces === 'string' || !pieces) throw new Error(`the stream was answered ${status}`)
    if (ending.signal.aborted) {
      void pieces.return(undefined)
      throw new AppError('UNAVAILABLE', 'this gateway is about to stop: connect again')
    }
    reply.hijack()
    stream.open(status, { ...(reply.getHeaders() as Record<string, string>), ...headers, 'x-accel-buffering': 'no' })
    void send(pieces, stream, live)
  } catch (error) {
    // A gateway that stops waits for the connections that are kept.
    if (ending.signal.aborted) reply.header('connection', 'close')
    leave()
    ending.abort()
    throw error
  }
}

/** Writes the pieces as they come, each at the client's pace; those that are events with their ids. */
async function send(
  pieces: AsyncGenerator<string>,
  stream: EventStream,
  { context, ids, signal }: Live,
): Promise<void> {
  signal.addEventListener('abort', () => void pieces.return(undefined), { once: true })
  try {
    for await (const piece of pieces) {
      stream.write(piece, piece.startsWith('event: next') ? ids.shift() : undefined)
      await stream.ready()
    }
  } catch (error) {
    context.log.error({ err: error }, 'a stream broke')
  }
  stream.end()
}

function readQueryString({ query }: FastifyRequest): Record<string, unknown> {
  const { variables, extensions, ...rest } = query as Record<string, unknown>
  return { ...rest, variables: parseJson(variables, 'variables'), extensions: parseJson(extensions, 'extensions') }
}

/** @throws AppError INVALID_INPUT */
function parseJson(text: unknown, name: string): unknown {
  if (typeof text !== 'string' || text === '') return undefined
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new AppError('INVALID_INPUT', `${name}: is not JSON`, { cause })
  }
}

function oneOf(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.at(-1) : header
}
