import type { GraphQLDataSource } from '@apollo/gateway'
import type { GraphQLFormattedError } from 'graphql'
import { CALLER_HEADER, type Caller, signCaller } from '#platform/caller/caller.ts'
import type { ServiceEdge } from '#platform/caller/edges.ts'
import type { Tier } from '#platform/contracts/tiers.ts'
import type { ErrorCode } from '#platform/errors.ts'
import { type HttpAnswer, postJson } from '#platform/graph/httpPost.ts'
import type { Log } from '#platform/log.ts'

/** One client request on its way through the gateway. */
export type GatewayContext = {
  caller: Omit<Caller, 'from'>
  /** Signed caller headers of this request, one per tier. */
  signed: Map<Tier, { header: string; signedAt: number }>
  log: Log
}

type TierAnswer = Awaited<ReturnType<GraphQLDataSource<GatewayContext>['process']>>

/** A header lives 30 s; a long request renews it in good time. */
const RENEW_AFTER_MS = 15_000

/**
 * Fetches from one tier: nothing of the client's own request goes along but the query, its variables and the caller,
 * signed anew. A tier that fails becomes one error with its name; the rest of the answer arrives.
 */
export function makeTierSource(edge: ServiceEdge, timeoutMs: number): GraphQLDataSource<GatewayContext> {
  return {
    async process({ request, ...options }): Promise<TierAnswer> {
      const context = options.context as GatewayContext
      const { query, variables, operationName } = request
      const post = {
        url: edge.url,
        headers: { [CALLER_HEADER]: callerHeader(context, edge) },
        body: JSON.stringify({ query, variables, operationName }),
        timeoutMs,
      }
      try {
        return readAnswer(edge.to, await postJson(post), context.log)
      } catch (error) {
        context.log.warn({ err: error, tier: edge.to }, 'a tier does not answer')
        return failure(edge.to, 'UNAVAILABLE', `the ${edge.to} tier does not answer`)
      }
    },
  }
}

function callerHeader({ caller, signed }: GatewayContext, edge: ServiceEdge): string {
  const known = signed.get(edge.to)
  const now = Date.now()
  if (known && now - known.signedAt < RENEW_AFTER_MS) return known.header
  const header = signCaller(caller, edge, now)
  signed.set(edge.to, { header, signedAt: now })
  return header
}

/** An answer is GraphQL's, whatever its status; except that a caller refused is our fault here, not the client's. */
function readAnswer(tier: Tier, { status, body }: HttpAnswer, log: Log): TierAnswer {
  if (status === 401) {
    log.error({ tier }, 'a tier refused the caller: do its keys and clock agree with ours?')
    return failure(tier, 'INTERNAL', 'internal error')
  }
  const answer = JSON.parse(body) as { data?: Record<string, unknown>; errors?: GraphQLFormattedError[] }
  if (!answer.data && !answer.errors) throw new Error(`answered ${status} without data`)
  return {
    ...(answer.data && { data: answer.data }),
    ...(answer.errors && { errors: answer.errors as TierAnswer['errors'] & object }),
  }
}

function failure(tier: Tier, code: ErrorCode, message: string): TierAnswer {
  const error: GraphQLFormattedError = { message, extensions: { code, tier } }
  return { errors: [error] as TierAnswer['errors'] & object }
}
