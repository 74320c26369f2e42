import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import helmet from 'helmet'

/**
 * What helmet says to browsers about every answer: nothing in it may be run, framed or guessed at. It is asked once, not
 * at each request. Pages (explorer, unsubscribing) have content policies of their own.
 */
const protect = helmet({
  contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
  // The tracking pixel is shown by other sites' mail readers; who may read an answer is said by CORS.
  crossOriginResourcePolicy: { policy: 'cross-origin' },
  // Of pages only, or of browsers no longer in use.
  crossOriginOpenerPolicy: false,
  originAgentCluster: false,
  xDnsPrefetchControl: false,
  xDownloadOptions: false,
  xFrameOptions: false,
  xPermittedCrossDomainPolicies: false,
  xXssProtection: false,
})

export const SECURE_HEADERS: Readonly<Record<string, string>> = headersOf(protect)

export function sendSecureHeaders(app: FastifyInstance): void {
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers(SECURE_HEADERS)
  })
}

function headersOf(middleware: typeof protect): Record<string, string> {
  const headers: Record<string, string> = {}
  const response = {
    setHeader: (name: string, value: string) => {
      headers[name.toLowerCase()] = value
    },
    removeHeader: () => {},
  }
  middleware({} as IncomingMessage, response as unknown as ServerResponse, (error) => {
    if (error) throw error
  })
  return headers
}
