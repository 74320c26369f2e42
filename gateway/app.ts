import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { fastifyApolloHandler } from '@as-integrations/fastify'
import { type FastifyRequest, fastify } from 'fastify'
import { AppError } from '#platform/errors.ts'
import { addHealthRoutes } from '#platform/health.ts'
import { answerFaultsAsGraphql } from '#platform/httpErrors.ts'
import { makeLog } from '#platform/log.ts'
import { makeMetrics, observeRequests } from '#platform/metrics.ts'
import type { Service } from '#platform/serve.ts'
import { makeTokenVerifier } from './clientToken.ts'
import type { GatewayConfig } from './config.ts'
import { allowOrigins, makeOriginHeaders } from './cors.ts'
import { startApolloFace } from './faces/apollo.ts'
import { isLean, makeLeanFace } from './faces/lean.ts'
import { addFileRoutes } from './fileRoutes.ts'
import { Engine } from './pipeline/engine.ts'
import { Pipeline } from './pipeline/pipeline.ts'
import { requestIdOf } from './pipeline/requestId.ts'
import { followSupergraphFile, readSupergraphFile } from './pipeline/supergraphFile.ts'
import { rememberTokens } from './pipeline/tokenMemory.ts'
import type { GatewayContext } from './tiers/context.ts'
import { TierClient } from './tiers/tierClient.ts'
import { addTrackingRoutes } from './tracking/routes.ts'

/** Far more than any page asks, and far less than would exhaust the stack of whoever walks through it. */
const MAX_QUERY_TOKENS = 5_000

/** As fastify's own server has it. */
const KEEP_ALIVE_MS = 72_000

const SUPERGRAPH = fileURLToPath(new URL('supergraph.graphql', import.meta.url))

/**
 * Builds the gateway without listening. It asks no tier before a client does, so it starts whatever is down.
 * @param supergraphFile the committed one, unless given
 */
export async function buildGateway(config: GatewayConfig, supergraphFile = SUPERGRAPH): Promise<Service> {
  const log = makeLog('gateway', config.logLevel)
  const metrics = makeMetrics('gateway')
  const { tierTimeoutMs: timeoutMs, maxAnswerBytes, maxRequestBytes } = config
  const tiers = new Map(
    Object.entries(config.tiers).map(([name, edge]) => [name, new TierClient(edge, { timeoutMs, maxAnswerBytes })]),
  )
  const engine = new Engine(readSupergraphFile(supergraphFile), { tiers, maxTokens: MAX_QUERY_TOKENS })
  const pipeline = new Pipeline({ engine, verifyToken: rememberTokens(makeTokenVerifier(config.tokens)), log })
  const { explorer } = config
  const apollo = await startApolloFace({ engine, pipeline, explorer, maxTokens: MAX_QUERY_TOKENS, log })
  const contexts = new WeakMap<FastifyRequest, GatewayContext>()
  const answer = fastifyApolloHandler(apollo, {
    context: async (request): Promise<GatewayContext> => {
      const context = contexts.get(request)
      if (!context) throw new AppError('UNAUTHENTICATED', 'a bearer token is required')
      return context
    },
  })

  let isClosing = false
  const lean = makeLeanFace({
    pipeline,
    maxRequestBytes,
    originHeaders: makeOriginHeaders(config.corsOrigins),
    metrics,
    log,
    isClosing: () => isClosing,
  })
  const app = fastify({
    logger: false,
    bodyLimit: maxRequestBytes,
    forceCloseConnections: 'idle',
    serverFactory: (handler) =>
      createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) =>
        config.face === 'lean' && isLean(request) ? lean(request, response) : handler(request, response),
      ),
  })
  answerFaultsAsGraphql(app, log)
  observeRequests(app, metrics)
  allowOrigins(app, config.corsOrigins)
  addFileRoutes(app, config.tiers.content.url)
  addTrackingRoutes(app, { queue: config.tiers.queue, keys: config.trackingKeys, log, metrics })
  addHealthRoutes(app, { ready: async () => apollo.assertStarted('ready'), metrics, log })
  app.route({
    method: ['GET', 'POST'],
    url: '/graphql',
    // Before the body is read: a stranger must not make us hold a large one.
    onRequest: async (request, reply) => {
      const requestId = requestIdOf(request.headers['x-request-id'])
      reply.header('x-request-id', requestId)
      const isPage = explorer && asksForExplorer(request)
      if (!isPage) {
        reply.header('www-authenticate', 'Bearer')
        contexts.set(request, await pipeline.identify(request.headers.authorization, requestId))
        reply.removeHeader('www-authenticate')
      }
    },
    handler: answer,
  })
  const unfollow = followSupergraphFile(supergraphFile, engine, log)
  const close = async () => {
    isClosing = true
    unfollow()
    await app.close()
    await apollo.stop()
    await Promise.all([...tiers.values()].map((tier) => tier.close()))
  }
  return { app, log, metrics, close }
}

function asksForExplorer({ method, headers }: FastifyRequest): boolean {
  return method === 'GET' && !headers.authorization && (headers.accept ?? '').includes('text/html')
}
