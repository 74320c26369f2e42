import { randomUUID } from 'node:crypto'
import { CALLER_HEADER, signCaller } from '#platform/caller/caller.ts'
import type { ServiceEdge } from '#platform/caller/edges.ts'
import type { Tier } from '#platform/contracts/tiers.ts'
import { AppError, isErrorCode } from '#platform/errors.ts'
import { postJson } from './httpPost.ts'

export type ServiceRequestOptions = {
  /** On behalf of this tenant: the far side runs in its scope. Without it, nothing is in scope there. */
  tenantId?: string | null
  userId?: string | null
  /** Joins the two processes' logs; a new one unless given. */
  requestId?: string
  /** Milliseconds until UNAVAILABLE; 15,000 unless given. */
  timeoutMs?: number
}

/** Asks one tier's subgraph directly, as a service. */
export type ServiceClient = {
  to: Tier
  /**
   * The operation's `data`.
   * @throws AppError UNAVAILABLE when the tier does not answer, else with the code of the first error in the answer:
   *         a service never works with half an answer
   */
  request: <Data>(query: string, variables?: Record<string, unknown>, options?: ServiceRequestOptions) => Promise<Data>
}

type GraphqlAnswer = { data?: unknown; errors?: { message: string; extensions?: Record<string, unknown> }[] }

/** Makes the client for one edge. Every request carries a freshly signed service caller. */
export function makeServiceClient(edge: ServiceEdge): ServiceClient {
  return {
    to: edge.to,
    async request<Data>(query: string, variables = {}, options: ServiceRequestOptions = {}) {
      const { tenantId = null, userId = null, requestId = randomUUID(), timeoutMs = 15_000 } = options
      const caller = signCaller({ kind: 'service', tenantId, userId, roles: [], requestId }, edge)
      const answer = await postJson({
        url: edge.url,
        headers: { [CALLER_HEADER]: caller },
        body: JSON.stringify({ query, variables }),
        timeoutMs,
      }).catch((cause: unknown) => {
        throw new AppError('UNAVAILABLE', `the ${edge.to} tier does not answer`, {
          cause,
          extensions: { tier: edge.to },
        })
      })
      return readData<Data>(edge.to, answer)
    },
  }
}

function readData<Data>(tier: Tier, { status, body }: { status: number; body: string }): Data {
  let answer: GraphqlAnswer
  try {
    answer = JSON.parse(body)
  } catch (cause) {
    throw new AppError('UNAVAILABLE', `the ${tier} tier answered ${status} without JSON`, {
      cause,
      extensions: { tier },
    })
  }
  const [error] = answer.errors ?? []
  if (error) {
    const { code, ...extensions } = error.extensions ?? {}
    const known = isErrorCode(code) ? code : 'INTERNAL'
    throw new AppError(known, error.message, { extensions: { ...extensions, tier } })
  }
  if (status >= 400 || answer.data === undefined || answer.data === null) {
    throw new AppError('UNAVAILABLE', `the ${tier} tier answered ${status} without data`, { extensions: { tier } })
  }
  return answer.data as Data
}
