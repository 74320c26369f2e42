import { ApolloGateway } from '@apollo/gateway'
import type { GatewayExecutor } from '@apollo/server-gateway-interface'
import { type GraphQLError, parse } from 'graphql'
import type { Faults, StubRequest, World } from './worlds/world.ts'

// biome-ignore lint/suspicious/noExplicitAny: data of any shape
export type Answer = { data: any; errors: { message: string; path: readonly (string | number)[] | undefined }[] }
export type Gateway = (request: StubRequest, faults?: Faults) => Promise<Answer>

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

/** Apollo's own gateway over a world: the oracle. */
export async function startStockGateway(world: World): Promise<Gateway & { stop: () => Promise<void> }> {
  process.env.APOLLO_TELEMETRY_DISABLED = 'true'
  const gateway = new ApolloGateway({
    supergraphSdl: world.supergraphSdl,
    logger: SILENT,
    // As ours: with the default some of our operations take it a minute to plan.
    queryPlannerConfig: { debug: { maxEvaluatedPlans: 1_000 } },
    buildService: ({ name }) => ({
      process: async ({ request, context }) =>
        world.ask(name, request as StubRequest, (context as { faults: Faults }).faults) as never,
    }),
  })
  const { executor } = await gateway.load()
  const run: Gateway = async (request, faults = () => undefined) => {
    const context = {
      request,
      document: parse(request.query),
      queryHash: request.query,
      context: { faults },
      logger: SILENT,
      metrics: {},
      cache: undefined,
    }
    const { data, errors = [] } = await (executor as GatewayExecutor)(context as never)
    return {
      data: data ?? null,
      errors: errors.map((error: GraphQLError) => ({ message: error.message, path: error.path })),
    }
  }
  return Object.assign(run, { stop: () => gateway.stop() })
}
