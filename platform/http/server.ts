import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { FastifyServerFactory } from 'fastify'

/**
 * How long a connection may stay without a request (as fastify has it), and how long a request may take to come: who
 * sends one byte at a time holds a connection for no longer than this. Milliseconds.
 */
const SERVER_TIMES = {
  keepAliveTimeout: 72_000,
  headersTimeout: 10_000,
  requestTimeout: 300_000,
  connectionsCheckingInterval: 2_000,
}

/** A server for fastify in which a listener of our own answers the requests that it takes. */
export function serveFirst(
  listener: RequestListener,
  takes: (request: IncomingMessage) => boolean,
): FastifyServerFactory {
  return (handler) =>
    createServer(SERVER_TIMES, (request, response) =>
      takes(request) ? listener(request, response) : handler(request, response),
    )
}
