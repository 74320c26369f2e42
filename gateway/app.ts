import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { ApolloGateway } from '@apollo/gateway'
import { ApolloServer, type ApolloServerPlugin } from '@apollo/server'
import { ApolloServerPluginLandingPageDisabled } from '@apollo/server/plugin/disabled'
import { ApolloServerPluginLandingPageLocalDefault } from '@apollo/server/plugin/landingPage/default'
import { fastifyApolloHandler } from '@as-integrations/fastify'
import { type FastifyRequest, fastify } from 'fastify'
import type { Tier } from '#platform/contracts/tiers.ts'
import { AppError } from '#platform/errors.ts'
import { addHealthRoutes } from '#platform/health.ts'
import { answerFaultsAsGraphql } from '#platform/httpErrors.ts'
import { logForCaller, makeLog } from '#platform/log.ts'
import { makeMetrics, observeRequests } from '#platform/metrics.ts'
import type { Service } from '#platform/serve.ts'
import { isUnforeseen } from '#platform/subgraph/errorFormatter.ts'
import { type Client, makeTokenVerifier } from './clientToken.ts'
import type { GatewayConfig } from './config.ts'
import { allowOrigins } from './cors.ts'
import { formatGatewayError, withoutRepeats } from './errors.ts'
import { addFileRoutes } from './fileRoutes.ts'
import { type GatewayContext, makeTierSource } from './tierSource.ts'
import { addTrackingRoutes } from './tracking/routes.ts'

/** Far more than any page asks, and far less than would exhaust the stack of whoever walks through it. */
const MAX_QUERY_TOKENS = 5_000

const SUPERGRAPH = new URL('supergraph.graphql', import.meta.url)

/** Builds the gateway without listening. It asks no tier before a client does, so it starts whatever is down. */
export async function buildGateway(config: GatewayConfig): Promise<Service> {
  const log = makeLog('gateway', config.logLevel)
  const metrics = makeMetrics('gateway')
  const apollo = await startApollo(config, log)
  const verifyToken = makeTokenVerifier(config.tokens)
  const clients = new WeakMap<FastifyRequest, Client>()

  const answer = fastifyApolloHandler(apollo, {
    context: async (request, reply): Promise<GatewayContext> => {
      const client = clients.get(request)
      if (!client) throw new AppError('UNAUTHENTICATED', 'a bearer token is required')
      const caller = { ...client, requestId: String(reply.getHeader('x-request-id')) }
      return { caller, signed: new Map(), log: logForCaller(log, { ...caller, from: 'gateway' }) }
    },
  })

  const app = fastify({ logger: false, bodyLimit: config.maxRequestBytes, forceCloseConnections: 'idle' })
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
      const requestId = requestIdOf(request)
      reply.header('x-request-id', requestId)
      const explorer = config.explorer && asksForExplorer(request)
      if (!explorer) {
        reply.header('www-authenticate', 'Bearer')
        clients.set(request, await verifyToken(request.headers.authorization))
        reply.removeHeader('www-authenticate')
      }
    },
    handler: answer,
  })
  const close = async () => {
    await app.close()
    await apollo.stop()
  }
  return { app, log, metrics, close }
}

async function startApollo(config: GatewayConfig, log: Service['log']): Promise<ApolloServer<GatewayContext>> {
  // Apollo's gateway reports usage figures to its makers unless told not to.
  process.env.APOLLO_TELEMETRY_DISABLED = 'true'
  const logger = {
    debug: (message?: unknown) => log.debug(String(message)),
    info: (message?: unknown) => log.debug(String(message)),
    warn: (message?: unknown) => log.warn(String(message)),
    error: (message?: unknown) => log.error(String(message)),
  }
  const gateway = new ApolloGateway({
    supergraphSdl: readFileSync(SUPERGRAPH, 'utf8'),
    buildService: ({ name }) => makeTierSource(config.tiers[name as Tier], config.tierTimeoutMs),
    logger,
    __exposeQueryPlanExperimental: false,
  })
  const apollo = new ApolloServer<GatewayContext>({
    gateway,
    logger,
    formatError: formatGatewayError,
    includeStacktraceInErrorResponses: false,
    introspection: true,
    parseOptions: { maxTokens: MAX_QUERY_TOKENS },
    stopOnTerminationSignals: false,
    plugins: [
      config.explorer ? ApolloServerPluginLandingPageLocalDefault() : ApolloServerPluginLandingPageDisabled(),
      finishAnswers(),
    ],
  })
  await apollo.start()
  return apollo
}

/** Logs faults of ours, and adds to each answer the id by which its log lines are found. */
function finishAnswers(): ApolloServerPlugin<GatewayContext> {
  return {
    async requestDidStart() {
      return {
        async didEncounterErrors({ errors, contextValue }) {
          for (const error of errors) {
            const { serviceName, code } = error.extensions
            if (serviceName) contextValue.log.info({ tier: serviceName, code, path: error.path }, error.message)
            else if (isUnforeseen(error)) contextValue.log.error({ err: error }, 'unforeseen error')
          }
        },
        async willSendResponse({ response: { body }, contextValue }) {
          if (body.kind !== 'single') return
          const { errors, extensions } = body.singleResult
          // Fields that were nulled because what they need is gone: the null itself says so.
          const { valueCompletion: _nulled, ...others } = extensions ?? {}
          if (errors) body.singleResult.errors = withoutRepeats(errors)
          body.singleResult.extensions = { ...others, requestId: contextValue.caller.requestId }
        },
      }
    },
  }
}

/** The client's own id if it sent a harmless one, so that its logs and ours can be joined. */
function requestIdOf(request: FastifyRequest): string {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && /^[\w-]{8,64}$/.test(given) ? given : randomUUID()
}

function asksForExplorer({ method, headers }: FastifyRequest): boolean {
  return method === 'GET' && !headers.authorization && (headers.accept ?? '').includes('text/html')
}
