import type { IncomingMessage } from 'node:http'
import { fastifyApolloHandler } from '@as-integrations/fastify'
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { CALLER_HEADER, type Caller, type CallerKeys, verifyCaller } from '#platform/caller/caller.ts'
import type { Tier } from '#platform/contracts/tiers.ts'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { addHealthRoutes, type ReadyCheck } from '#platform/health.ts'
import { answerFaultsAsGraphql } from '#platform/http/faults.ts'
import { isGraphqlPost } from '#platform/http/graphqlListener.ts'
import { serveFirst } from '#platform/http/server.ts'
import { type Log, logForCaller, makeLog } from '#platform/log.ts'
import { type Metrics, makeMetrics, observeRequests } from '#platform/metrics.ts'
import { startApolloFace } from './apolloFace.ts'
import { makeLeanFace } from './leanFace.ts'
import { buildTierSchema, type ResolverMap } from './schema.ts'

/** What every resolver gets; a tier's own Context adds its database client, loaders and services. */
export type SubgraphContext = { caller: Caller; requestId: string; log: Log }

export type SubgraphOptions<Context extends SubgraphContext> = {
  tier: Tier
  /** Path of the tier's schema.graphql. */
  schemaPath: string | URL
  resolvers: ResolverMap
  /** Who may ask: the key of each edge that leads here. */
  callerKeys: CallerKeys
  /** Made anew for each request, inside the caller's tenant: the place for loaders. */
  makeContext: (base: SubgraphContext) => Context | Promise<Context>
  /** Rejects while the tier cannot work; what /health/ready asks. */
  ready: ReadyCheck
  /** Ends what the tier holds (database, relay), after the last answer. */
  close?: () => Promise<void>
  log?: Log
  /** Largest request accepted, in bytes; 1 MiB unless given. */
  bodyLimit?: number
}

/** A subgraph that can be asked but does not listen yet: `serve` does that, tests do it themselves. */
export type Subgraph = { tier: Tier; app: FastifyInstance; log: Log; metrics: Metrics; close: () => Promise<void> }

/**
 * Builds one tier's GraphQL server. Everything on /graphql needs a signed caller (else 401), `_service` and `_entities`
 * too. An operation on behalf of a tenant runs wholly in that tenant's scope; without one, nothing is in scope.
 */
export async function buildSubgraph<Context extends SubgraphContext>(
  options: SubgraphOptions<Context>,
): Promise<Subgraph> {
  const { tier, callerKeys, makeContext, bodyLimit = 1024 * 1024, log = makeLog(tier) } = options
  const metrics = makeMetrics(tier)
  const schema = buildTierSchema(options.schemaPath, options.resolvers)
  const callerOf = ({ headers }: IncomingMessage): Caller => {
    const header = headers[CALLER_HEADER]
    return verifyCaller(typeof header === 'string' ? header : undefined, callerKeys, tier)
  }
  const contextOf = (caller: Caller) =>
    makeContext({ caller, requestId: caller.requestId, log: logForCaller(log, caller) })

  let isClosing = false
  const lean = makeLeanFace({
    ...{ schema, contextOf, maxRequestBytes: bodyLimit, metrics, log },
    identify(request, response) {
      const caller = callerOf(request)
      response.setHeader('x-request-id', caller.requestId)
      return caller
    },
    isClosing: () => isClosing,
  })
  const app = fastify({
    logger: false,
    bodyLimit,
    forceCloseConnections: 'idle',
    serverFactory: serveFirst(lean, (request) => isGraphqlPost(request) && !isTraced(request)),
  })
  answerFaultsAsGraphql(app, log)
  observeRequests(app, metrics)
  addHealthRoutes(app, { ready: options.ready, metrics, log })
  const apollo = await startApolloFace(schema)
  addApolloRoute(app, apollo, { callerOf, contextOf })

  const close = async () => {
    isClosing = true
    await app.close()
    await apollo.stop()
    await options.close?.()
  }
  return { tier, app, log, metrics, close }
}

/** Whether the gateway wants to know how long each resolver took. */
function isTraced({ headers }: IncomingMessage): boolean {
  return headers['apollo-federation-include-trace'] !== undefined
}

type Answering = {
  callerOf: (request: IncomingMessage) => Caller
  contextOf: (caller: Caller) => SubgraphContext | Promise<SubgraphContext>
}

/** What the lean face leaves over. */
function addApolloRoute(
  app: FastifyInstance,
  apollo: Awaited<ReturnType<typeof startApolloFace>>,
  { callerOf, contextOf }: Answering,
): void {
  const callers = new WeakMap<FastifyRequest, Caller>()
  const knownCaller = (request: FastifyRequest): Caller => {
    const caller = callers.get(request)
    if (!caller) throw new Error('a request reached GraphQL without its caller')
    return caller
  }
  const answer = fastifyApolloHandler(apollo, { context: async (request) => contextOf(knownCaller(request)) })
  app.route({
    method: ['GET', 'POST'],
    url: '/graphql',
    // Before the body is read: a stranger must not make us hold 40 MiB.
    onRequest: async (request, reply) => {
      const caller = callerOf(request.raw)
      callers.set(request, caller)
      reply.header('x-request-id', caller.requestId)
    },
    handler: async function (this: FastifyInstance, request: FastifyRequest, reply: FastifyReply) {
      const { tenantId } = knownCaller(request)
      const work = async () => answer.call(this, request, reply)
      return tenantId ? runAsTenant(tenantId, work) : work()
    },
  })
}
