import type { DocumentNode, GraphQLError, GraphQLFormattedError } from 'graphql'
import type { Log } from '#platform/log.ts'
import { isUnforeseen } from '#platform/subgraph/errorFormatter.ts'
import type { TokenVerifier } from '../clientToken.ts'
import { formatGatewayError, withoutRepeats } from '../errors.ts'
import type { Outcome } from '../execution/operation.ts'
import type { Found } from '../execution/operations.ts'
import { type GatewayContext, makeContext } from '../tiers/context.ts'
import type { Admission, Engine } from './engine.ts'
import type { GraphqlRequest } from './graphqlRequest.ts'

export type PipelineOptions = {
  engine: Engine
  verifyToken: TokenVerifier
  /** What may be asked; everything, unless given. */
  admit?: Admission
  log: Log
}

/** A document that someone else has parsed, in place of its text. */
export type ParsedRequest = Omit<GraphqlRequest, 'query' | 'extensions'> & { document: DocumentNode }

/** The way of every request, whichever door it came by: who asks, whether it may be asked, the answer, its errors. */
export class Pipeline {
  readonly #options: PipelineOptions

  constructor(options: PipelineOptions) {
    this.#options = options
  }

  /** @throws AppError UNAUTHENTICATED, or UNAVAILABLE when tokens cannot be checked */
  async identify(authorization: string | undefined, requestId: string): Promise<GatewayContext> {
    const { kind, tenantId, userId, roles } = await this.#options.verifyToken(authorization)
    return makeContext({ kind, tenantId, userId, roles, requestId }, this.#options.log)
  }

  /**
   * Runs an operation. Errors of a request that was refused before anything was asked have codes of Apollo's.
   * @throws AppError from whoever decides what may be asked
   */
  async run(request: GraphqlRequest | ParsedRequest, context: GatewayContext): Promise<Outcome> {
    const found = this.#find(request, context)
    if ('errors' in found) return found
    const outcome = await found.operation.run(request.variables, context)
    if ('faults' in outcome) {
      for (const { message, path, extensions } of outcome.faults) {
        context.log.info({ tier: extensions.serviceName, code: extensions.code, path }, message)
      }
    }
    return outcome
  }

  #find(request: GraphqlRequest | ParsedRequest, context: GatewayContext): Found<GatewayContext> {
    const { engine, admit } = this.#options
    const { supergraph, operations } = engine.graph
    const { operationName, variables } = request
    const check = (document: DocumentNode) =>
      admit?.({ schema: supergraph.apiSchema, document, operationName, variables }, context)
    return 'query' in request
      ? operations.findByText(request.query, operationName, check)
      : operations.findByDocument(request.document, operationName, check)
  }
}

/** Errors as a client may see them, each once; what is unforeseen is logged whole. */
export function formatOutcomeErrors(outcome: Outcome, log: () => Log): GraphQLFormattedError[] {
  if ('faults' in outcome) return withoutRepeats(outcome.faults.map((fault) => formatGatewayError(fault, fault)))
  return outcome.errors.map((error) => formatThrown(error, log))
}

export function formatThrown(error: GraphQLError | Error, log: () => Log): GraphQLFormattedError {
  if (isUnforeseen(error)) log().error({ err: error }, 'unforeseen error')
  const formatted = 'toJSON' in error ? (error as GraphQLError).toJSON() : { message: error.message }
  return formatGatewayError(formatted, error)
}
