import { ApolloServer, type ApolloServerOptionsWithGateway, type ApolloServerPlugin } from '@apollo/server'
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
} from '@apollo/server/plugin/disabled'
import { GraphQLError } from 'graphql'
import { AppError } from '#platform/errors.ts'
import type { Log } from '#platform/log.ts'
import { isUnforeseen } from '#platform/subgraph/errorFormatter.ts'
import { answerJsonWith200 } from '#platform/subgraph/jsonStatus.ts'
import { formatGatewayError, withoutRepeats } from '../errors.ts'
import type { Outcome } from '../execution/operation.ts'
import type { Engine } from '../pipeline/engine.ts'
import type { Pipeline } from '../pipeline/pipeline.ts'
import { beginTraces, type ReportingTarget, reportTraces, reportUsage } from '../reporting/usageReporting.ts'
import type { GatewayContext } from '../tiers/context.ts'

type Gateway = NonNullable<ApolloServerOptionsWithGateway<GatewayContext>['gateway']>
type Executor = NonNullable<Awaited<ReturnType<Gateway['load']>>['executor']>

export type ApolloFaceOptions = {
  engine: Engine
  pipeline: Pipeline
  maxTokens: number
  log: Log
  reporting: ReportingTarget | undefined
  plugins?: readonly ApolloServerPlugin<GatewayContext>[]
}

/**
 * Apollo Server over the pipeline, for its plugins: it reads requests and writes answers; what may be asked, validation,
 * planning and execution are the pipeline's.
 */
export async function startApolloFace(options: ApolloFaceOptions): Promise<ApolloServer<GatewayContext>> {
  const { engine, pipeline, maxTokens, log, reporting, plugins = [] } = options
  const apollo = new ApolloServer<GatewayContext>({
    gateway: makeGateway(engine, pipeline),
    apollo: reporting && { key: reporting.key, graphRef: reporting.graphRef },
    logger: {
      debug: (message?: unknown) => log.debug(String(message)),
      info: (message?: unknown) => log.debug(String(message)),
      warn: (message?: unknown) => log.warn(String(message)),
      error: (message?: unknown) => log.error(String(message)),
    },
    // The pipeline validates, after it has looked whether validation is to be begun at all.
    dangerouslyDisableValidation: true,
    formatError: (formatted, thrown) => formatGatewayError(formatted, causeOf(thrown)),
    includeStacktraceInErrorResponses: false,
    introspection: true,
    // Documents come here by their text: hashes are the pipeline's.
    persistedQueries: false,
    parseOptions: { maxTokens },
    stopOnTerminationSignals: false,
    stringifyResult: writeResult,
    plugins: [
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginLandingPageDisabled(),
      answerJsonWith200(),
      finishAnswers(),
      reportUsage(reporting, engine.graph.supergraph.sdl),
      ...plugins,
    ],
  })
  await apollo.start()
  return apollo
}

/** Data that is JSON text already. A plugin that wants to read it can have it parsed. */
class ShapedData {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }

  toJSON(): unknown {
    return JSON.parse(this.text)
  }
}

function makeGateway(engine: Engine, pipeline: Pipeline): Gateway {
  const executor: Executor = async ({ request, document, context: given, metrics }) => {
    const { operationName, variables = {} } = request
    const traces = beginTraces(metrics)
    const context = Object.assign(given as GatewayContext, { traces })
    try {
      const outcome = await pipeline.run({ document, operationName, variables }, context)
      if (traces) reportTraces(metrics, traces, outcome)
      return resultOf(outcome) as never
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      return { errors: [new GraphQLError(error.message, { originalError: error })] }
    }
  }
  return {
    load: async () => ({ executor }),
    onSchemaLoadOrUpdate: (callback) =>
      engine.follow(({ supergraph }) =>
        callback({ apiSchema: supergraph.apiSchema, coreSupergraphSdl: supergraph.sdl }),
      ),
    stop: async () => {},
  }
}

function resultOf(outcome: Outcome) {
  if ('errors' in outcome) return { errors: outcome.errors }
  const { data, faults } = outcome
  return {
    data: data === null ? null : new ShapedData(data),
    ...(faults.length > 0 && {
      errors: faults.map(({ message, path, extensions }) => new GraphQLError(message, { path, extensions })),
    }),
  }
}

async function writeResult({ data, ...rest }: { data?: unknown }): Promise<string> {
  if (!(data instanceof ShapedData)) return JSON.stringify({ ...rest, data })
  const text = JSON.stringify(rest)
  return text === '{}' ? `{"data":${data.text}}` : `${text.slice(0, -1)},"data":${data.text}}`
}

function causeOf(thrown: unknown): unknown {
  return thrown instanceof GraphQLError && thrown.originalError instanceof AppError ? thrown.originalError : thrown
}

/** Logs faults of ours, and adds to each answer the id by which its log lines are found. */
function finishAnswers(): ApolloServerPlugin<GatewayContext> {
  return {
    async requestDidStart() {
      return {
        async didEncounterErrors({ errors, contextValue }) {
          for (const error of errors) {
            if (error.extensions.serviceName || !isUnforeseen(causeOf(error))) continue
            contextValue.log.error({ err: error }, 'unforeseen error')
          }
        },
        async willSendResponse({ response: { body }, contextValue }) {
          if (body.kind !== 'single') return
          const { errors, extensions } = body.singleResult
          if (errors) body.singleResult.errors = withoutRepeats(errors)
          body.singleResult.extensions = { ...extensions, requestId: contextValue.caller.requestId }
        },
      }
    },
  }
}
