import type { DocumentNode, GraphQLError, GraphQLFormattedError } from 'graphql'
import { AppError } from '#platform/errors.ts'
import type { Found } from '#platform/execution/operations.ts'
import type { GraphqlRequest } from '#platform/http/graphqlRequest.ts'
import type { Log } from '#platform/log.ts'
import { isUnforeseen } from '#platform/subgraph/errorFormatter.ts'
import type { TokenVerifier } from '../clientToken.ts'
import { formatGatewayError, withoutRepeats } from '../errors.ts'
import type { Operation, Outcome } from '../execution/operation.ts'
import type { Rate, RateHeaders, Rates } from '../limits/rates.ts'
import type { PersistedQueries } from '../registry/persistedQueries.ts'
import type { RunOperation } from '../sharing/sharedAnswers.ts'
import { type GatewayContext, makeContext } from '../tiers/context.ts'
import type { Admission, Engine } from './engine.ts'

export type PipelineOptions = {
  engine: Engine
  verifyToken: TokenVerifier
  /** What may be asked. */
  admit: Admission
  /** Documents by their hashes. */
  persisted: PersistedQueries
  rates: Rates
  /** Whether answers are shared between requests. */
  runOperation: RunOperation
  log: Log
}

/** A document that someone else has parsed, in place of its text. */
export type ParsedRequest = Omit<GraphqlRequest, 'query' | 'hash'> & { document: DocumentNode }

/** What is known of a request before its body. */
export type Arrival = { authorization: string | undefined; address: string | undefined; requestId: string }

/** The way of every request, whichever door it came by: who asks, whether it may be asked, the answer, its errors. */
export class Pipeline {
  readonly #options: PipelineOptions

  constructor(options: PipelineOptions) {
    this.#options = options
  }

  /**
   * Who asks, once it is known that it does not ask too often.
   * @param tell takes headers of the answer: what is left of the rate
   * @throws AppError UNAUTHENTICATED; LIMIT_REACHED, with `retryAfterSeconds`; UNAVAILABLE when tokens cannot be checked
   */
  async identify(
    { authorization, address, requestId }: Arrival,
    tell: (headers: RateHeaders) => void,
  ): Promise<GatewayContext> {
    const { rates, verifyToken, log } = this.#options
    refuseBeyondRate(await rates.countAddress(address ?? ''), tell)
    const { kind, tenantId, userId, roles, expiresAt } = await verifyToken(authorization)
    const rate = await rates.countTenant(tenantId ?? `staff ${userId}`)
    tell(rate.headers)
    refuseBeyondRate(rate, tell)
    return makeContext({ kind, tenantId, userId, roles, requestId }, log, expiresAt)
  }

  /**
   * Runs an operation. Errors of a request that was refused before anything was asked have codes of Apollo's.
   * @throws AppError from whoever decides what may be asked
   */
  async run(request: GraphqlRequest | ParsedRequest, context: GatewayContext): Promise<Outcome> {
    const found = this.#find(request, context)
    if ('errors' in found) return found
    const outcome = await this.#options.runOperation(found.operation, request.variables, context)
    if ('faults' in outcome) {
      for (const { message, path, extensions } of outcome.faults) {
        context.log.info({ tier: extensions.serviceName, code: extensions.code, path }, message)
      }
    }
    return outcome
  }

  #find(request: GraphqlRequest | ParsedRequest, context: GatewayContext): Found<Operation<GatewayContext>> {
    const { engine, admit, persisted } = this.#options
    const { supergraph, operations } = engine.graph
    const { operationName, variables } = request
    const check = (document: DocumentNode) =>
      admit({ schema: supergraph.apiSchema, document, operationName, variables }, context)
    return 'document' in request
      ? operations.findByDocument(request.document, operationName, check)
      : operations.findByText(persisted.resolve(request), operationName, check)
  }
}

function refuseBeyondRate({ allowed, headers }: Rate, tell: (headers: RateHeaders) => void): void {
  if (allowed) return
  tell(headers)
  throw new AppError('LIMIT_REACHED', 'too many requests: wait a little', {
    extensions: { limit: 'rate', retryAfterSeconds: Number(headers['Retry-After']) },
  })
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
