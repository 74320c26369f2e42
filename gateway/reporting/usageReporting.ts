import type { ApolloServerPlugin, GraphQLRequestMetrics } from '@apollo/server'
import { ApolloServerPluginUsageReportingDisabled } from '@apollo/server/plugin/disabled'
import { ApolloServerPluginUsageReporting } from '@apollo/server/plugin/usageReporting'
import type { Outcome } from '../execution/operation.ts'
import type { GatewayContext } from '../tiers/context.ts'
import { FetchTraces } from './fetchTraces.ts'

/** Where requests are reported: a graph of Apollo Studio, or whoever answers in its stead at `endpoint`. */
export type ReportingTarget = { key: string; graphRef: string; endpoint: string | undefined }

/**
 * Apollo's own plugin: the shapes of operations, how long they and their resolvers took, and which clients asked. Neither
 * variables nor headers nor the words of errors are sent.
 */
export function reportUsage(
  target: ReportingTarget | undefined,
  supergraphSdl: string,
): ApolloServerPlugin<GatewayContext> {
  if (!target) return ApolloServerPluginUsageReportingDisabled()
  const { endpoint } = target
  return ApolloServerPluginUsageReporting({
    // By itself it would print the schema that clients see, which GraphQL.js cannot: a JSON scalar has `{}` by default.
    overrideReportedSchema: supergraphSdl,
    sendErrors: { masked: true },
    sendHeaders: { none: true },
    sendVariableValues: { none: true },
    ...(endpoint && { endpointUrl: endpoint }),
  })
}

/** Has the tiers told to trace this request, if it is to be reported with its resolvers. */
export function beginTraces({ captureTraces, startHrTime }: GraphQLRequestMetrics): FetchTraces | undefined {
  if (!captureTraces) return undefined
  const [seconds, nanoseconds] = startHrTime ?? process.hrtime()
  return new FetchTraces(BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds))
}

/** Hands on what the tiers told. */
export function reportTraces(metrics: GraphQLRequestMetrics, traces: FetchTraces, outcome: Outcome): void {
  if (!('faults' in outcome)) return
  const trace = outcome.plan && traces.traceOf(outcome.plan)
  if (trace) metrics.queryPlanTrace = trace
  metrics.nonFtv1ErrorPaths = outcome.faults
    .filter(({ extensions }) => !traces.has(extensions.serviceName))
    .map(({ path, extensions }) => ({ subgraph: extensions.serviceName, path }))
}
