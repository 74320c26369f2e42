import type { FastifyInstance } from 'fastify'

const HEADERS = {
  'access-control-allow-methods': 'GET, POST, PUT, OPTIONS',
  'access-control-allow-headers': 'authorization, content-type, apollo-require-preflight, x-request-id',
  'access-control-expose-headers': 'x-request-id',
  'access-control-max-age': '86400',
}

/**
 * Lets pages of these origins (`*`: any) ask from a browser. Safe with any, since a caller is known by its bearer token
 * alone and never by a cookie.
 */
export function allowOrigins(app: FastifyInstance, origins: readonly string[]) {
  if (origins.length === 0) return
  const anyone = origins.includes('*')
  app.addHook('onRequest', async (request, reply) => {
    const { origin } = request.headers
    if (!origin || !(anyone || origins.includes(origin))) return
    reply.headers({ 'access-control-allow-origin': anyone ? '*' : origin, vary: 'origin', ...HEADERS })
  })
  app.options('/graphql', async (_request, reply) => reply.code(204).send())
  app.options('/files/*', async (_request, reply) => reply.code(204).send())
}
