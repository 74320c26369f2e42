import { Pool } from 'undici'
import { CALLER_HEADER, signCaller } from '#platform/caller/caller.ts'
import type { ServiceEdge } from '#platform/caller/edges.ts'
import type { ErrorCode } from '#platform/errors.ts'
import type { Log } from '#platform/log.ts'
import type { Fetcher, SubgraphAnswer } from '../execution/execution.ts'
import { TRACE_REQUEST } from '../reporting/fetchTraces.ts'
import { Circuit, CircuitOpen } from './circuit.ts'
import type { GatewayContext } from './context.ts'
import { AnswerTooLarge, isConnectionLost, post, type TierAnswer, type TierLimits } from './post.ts'

/** A header lives 30 s; a long request renews it in good time. */
const RENEW_AFTER_MS = 15_000

/** Shorter than fastify's 72 s, so that we drop an idle connection before the far side does. */
const IDLE_CONNECTION_MS = 30_000
const CONNECTIONS = 256

/**
 * Asks one tier: nothing of the client's own request goes along but the query, its variables and the caller, signed
 * anew. A tier that fails becomes one error with its name; the rest of the answer arrives.
 */
export class TierClient {
  readonly #edge: ServiceEdge
  readonly #limits: TierLimits
  readonly #pool: Pool
  readonly #path: string
  readonly #circuit: Circuit

  constructor(edge: ServiceEdge, limits: TierLimits, log: Log) {
    const { origin, pathname, search } = new URL(edge.url)
    this.#edge = edge
    this.#limits = limits
    this.#path = pathname + search
    this.#pool = new Pool(origin, {
      connections: CONNECTIONS,
      keepAliveTimeout: IDLE_CONNECTION_MS,
      // One deadline for the whole answer is kept by `post`.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: limits.timeoutMs },
    })
    this.#circuit = new Circuit({
      isAway: (error) => !(error instanceof AnswerTooLarge),
      onOpen: () => log.error({ tier: edge.to }, 'a tier answers nobody: it is asked once a second until it does'),
      onClose: () => log.info({ tier: edge.to }, 'a tier answers again'),
    })
  }

  readonly fetch: Fetcher<GatewayContext> = async (body, context, node) => {
    const headers = {
      [CALLER_HEADER]: callerHeader(context, this.#edge),
      'content-type': 'application/json',
      ...(context.traces && TRACE_REQUEST),
    }
    const isRead = node.operationKind === 'query'
    const endTrace = context.traces?.begin(node)
    try {
      const answer = this.#readAnswer(await this.#circuit.run(() => this.#post(headers, body, isRead)), context)
      endTrace?.(answer.extensions)
      return answer
    } catch (error) {
      const tier = this.#edge.to
      if (error instanceof AnswerTooLarge) {
        context.log.warn({ err: error, tier }, "a tier's answer is too large")
        return failure(this.#edge, 'LIMIT_REACHED', `the ${tier} tier's answer is larger than is passed on`)
      }
      if (!(error instanceof CircuitOpen)) context.log.warn({ err: error, tier }, 'a tier does not answer')
      return failure(this.#edge, 'UNAVAILABLE', `the ${tier} tier does not answer`)
    }
  }

  /** Ends its connections, once what is under way is answered. */
  close(): Promise<void> {
    return this.#pool.close()
  }

  /** A read whose connection broke is asked once more: the tier may have closed it just as we wrote. */
  async #post(headers: Record<string, string>, body: string, isRead: boolean) {
    const request = { path: this.#path, headers, body }
    try {
      return await post(this.#pool, request, this.#limits)
    } catch (error) {
      if (!isRead || !isConnectionLost(error)) throw error
      return post(this.#pool, request, this.#limits)
    }
  }

  /** An answer is GraphQL's, whatever its status; except that a caller refused is our fault here, not the client's. */
  #readAnswer({ status, text }: TierAnswer, context: GatewayContext): SubgraphAnswer {
    if (status === 401) {
      context.log.error({ tier: this.#edge.to }, 'a tier refused the caller: do its keys and clock agree with ours?')
      return failure(this.#edge, 'INTERNAL', 'internal error')
    }
    const answer = JSON.parse(text) as SubgraphAnswer
    if (!answer.data && !answer.errors) throw new Error(`answered ${status} without data`)
    return answer
  }
}

/** The signed header by which a tier knows the caller. */
export function callerHeader({ caller, signed }: GatewayContext, edge: ServiceEdge): string {
  const known = signed.get(edge.to)
  const now = Date.now()
  if (known && now - known.signedAt < RENEW_AFTER_MS) return known.header
  const header = signCaller(caller, edge, now)
  signed.set(edge.to, { header, signedAt: now })
  return header
}

function failure({ to }: ServiceEdge, code: ErrorCode, message: string): SubgraphAnswer {
  return { errors: [{ message, extensions: { code, tier: to } }] }
}
