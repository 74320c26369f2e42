import type { FastifyInstance } from 'fastify'

const HEADERS = {
  'access-control-allow-methods': 'GET, POST, PUT, OPTIONS',
  'access-control-allow-headers': 'authorization, content-type, apollo-require-preflight, x-request-id, last-event-id',
  'access-control-expose-headers': 'x-request-id',
  'access-control-max-age': '86400',
}

/** What an answer says to a page of some origin; undefined if it may not read it. */
export type OriginHeaders = (origin: string | undefined) => Record<string, string> | undefined

/** Headers for pages of these origins (`*`: any). */
export function makeOriginHeaders(origins: readonly string[]): OriginHeaders {
  const anyone = origins.includes('*')
  return (origin) => {
    if (!origin || !(anyone || origins.includes(origin))) return undefined
    return { 'access-control-allow-origin': anyone ? '*' : origin, vary: 'origin', ...HEADERS }
  }
}

/**
 * Lets pages of these origins ask from a browser. Safe with any, since a caller is known by its bearer token alone and
 * never by a cookie.
 */
export function allowOrigins(app: FastifyInstance, origins: readonly string[]) {
  if (origins.length === 0) return
  const headersFor = makeOriginHeaders(origins)
  app.addHook('onRequest', async (request, reply) => {
    const headers = headersFor(request.headers.origin)
    if (headers) reply.headers(headers)
  })
  for (const path of ['/graphql', '/graphql/stream'])
    app.options(path, async (_request, reply) => reply.code(204).send())
}
