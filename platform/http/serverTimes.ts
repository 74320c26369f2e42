/**
 * How long a connection may stay without a request (as fastify has it), and how long a request may take to come: who
 * sends one byte at a time holds a connection for no longer than this. Milliseconds, for `createServer` of node:http.
 */
export const SERVER_TIMES = {
  keepAliveTimeout: 72_000,
  headersTimeout: 10_000,
  requestTimeout: 300_000,
  connectionsCheckingInterval: 2_000,
}
