import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { fastifyApolloHandler } from '@as-integrations/fastify'
import { type FastifyRequest, fastify } from 'fastify'
import { AppError } from '#platform/errors.ts'
import { addHealthRoutes } from '#platform/health.ts'
import { answerFaultsAsGraphql } from '#platform/http/faults.ts'
import { isGraphqlPost } from '#platform/http/graphqlListener.ts'
import { readGraphqlRequest } from '#platform/http/graphqlRequest.ts'
import { serveFirst } from '#platform/http/server.ts'
import { makeLog } from '#platform/log.ts'
import { makeMetrics, observeRequests } from '#platform/metrics.ts'
import type { Service } from '#platform/serve.ts'
import { makeAddressOf } from './callerAddress.ts'
import { makeTokenVerifier } from './clientToken.ts'
import type { GatewayConfig } from './config.ts'
import { allowOrigins, makeOriginHeaders } from './cors.ts'
import { addExplorer, hasExplorer } from './explorer/routes.ts'
import { startApolloFace } from './faces/apollo.ts'
import { makeLeanFace } from './faces/lean.ts'
import { addFileRoutes } from './fileRoutes.ts'
import { makeAdmission } from './limits/admission.ts'
import { Rates } from './limits/rates.ts'
import { openLive } from './live/live.ts'
import { Engine } from './pipeline/engine.ts'
import { Pipeline } from './pipeline/pipeline.ts'
import { requestIdOf } from './pipeline/requestId.ts'
import { followSupergraphFile, readSupergraphFile } from './pipeline/supergraphFile.ts'
import { rememberTokens } from './pipeline/tokenMemory.ts'
import { PersistedQueries } from './registry/persistedQueries.ts'
import { readRegisteredOperations } from './registry/registeredOperations.ts'
import { sendSecureHeaders } from './secureHeaders.ts'
import { openSharedAnswers } from './sharing/sharedAnswers.ts'
import type { GatewayContext } from './tiers/context.ts'
import { TierClient } from './tiers/tierClient.ts'
import { addTrackingRoutes } from './tracking/routes.ts'

/** Far more than any page asks, and far less than would exhaust the stack of whoever walks through it. */
const MAX_QUERY_TOKENS = 5_000

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
    Object.entries(config.tiers).map(([name, edge]) => [
      name,
      new TierClient(edge, { timeoutMs, maxAnswerBytes }, log),
    ]),
  )
  const engine = new Engine(readSupergraphFile(supergraphFile), { tiers, maxTokens: MAX_QUERY_TOKENS })
  const operations = readRegisteredOperations()
  const persisted = new PersistedQueries(operations)
  const rates = new Rates({ ...config.rates, log })
  const answers = openSharedAnswers({ ...config.sharing, registry: metrics.registry, log })
  const admit = makeAdmission(operations, { policy: config.operations, limits: config.limits })
  const pipeline = new Pipeline({
    engine,
    verifyToken: rememberTokens(makeTokenVerifier(config.tokens)),
    admit,
    persisted,
    rates,
    runOperation: answers.run,
    log,
  })
  const apollo = await startApolloFace({
    engine,
    pipeline,
    maxTokens: MAX_QUERY_TOKENS,
    log,
    reporting: config.reporting,
  })
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
    addressOf: makeAddressOf(config.trustedProxies),
    originHeaders: makeOriginHeaders(config.corsOrigins),
    metrics,
    log,
    isClosing: () => isClosing,
  })
  const app = fastify({
    logger: false,
    bodyLimit: maxRequestBytes,
    trustProxy: config.trustedProxies.length > 0 && config.trustedProxies,
    forceCloseConnections: 'idle',
    serverFactory: serveFirst(lean, (request) => config.face === 'lean' && isGraphqlPost(request)),
  })
  answerFaultsAsGraphql(app, log)
  observeRequests(app, metrics)
  sendSecureHeaders(app)
  allowOrigins(app, config.corsOrigins)
  addFileRoutes(app, config.tiers.content.url)
  addTrackingRoutes(app, { queue: config.tiers.queue, keys: config.trackingKeys, log, metrics })
  const hasPage = config.explorer && hasExplorer()
  if (hasPage) addExplorer(app, operations)
  addHealthRoutes(app, {
    ready: async () => {
      if (isClosing) throw new Error('the gateway is stopping')
      apollo.assertStarted('ready')
    },
    ...{ metrics, log },
  })
  app.route({
    method: ['GET', 'POST'],
    url: '/graphql',
    // Before the body is read: a stranger must not make us hold a large one.
    onRequest: async (request, reply) => {
      if (hasPage && isPageVisit(request)) return reply.redirect('/explorer')
      const requestId = requestIdOf(request.headers['x-request-id'])
      reply.headers({ 'x-request-id': requestId, 'www-authenticate': 'Bearer' })
      const arrival = { authorization: request.headers.authorization, address: request.ip, requestId }
      contexts.set(request, await pipeline.identify(arrival, (headers) => reply.headers(headers)))
      reply.removeHeader('www-authenticate')
    },
    preHandler: async (request) => {
      if (request.method !== 'POST') return
      const asked = readGraphqlRequest(request.body)
      const { operationName, variables } = asked
      request.body = { query: persisted.resolve(asked), variables, ...(operationName && { operationName }) }
    },
    handler: answer,
  })
  const live = openLive(app, {
    ...{ engine, admit, pipeline, persisted, metrics, log, config },
    maxTokens: MAX_QUERY_TOKENS,
  })
  const unfollow = followSupergraphFile(supergraphFile, engine, log)
  const close = async () => {
    isClosing = true
    // Balancers see that it is not ready, and send their requests elsewhere, before it takes no more.
    await delay(config.drainMs)
    unfollow()
    rates.close()
    // Streams would go on for ever: their clients connect again, to another gateway.
    live.end()
    await app.close()
    answers.close()
    await live.close()
    await apollo.stop()
    await Promise.all([...tiers.values()].map((tier) => tier.close()))
  }
  return { app, log, metrics, close }
}

/** Somebody with a browser who has come to look. */
function isPageVisit({ method, headers }: FastifyRequest): boolean {
  return method === 'GET' && !headers.authorization && (headers.accept ?? '').includes('text/html')
}
