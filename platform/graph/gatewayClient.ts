import { AppError, type ErrorCode } from '#platform/errors.ts'

export type GraphAnswer<Data> = {
  data: Data | null
  errors: GraphFault[]
}
export type GraphFault = {
  message: string
  code: ErrorCode
  path: readonly (string | number)[]
  /** Given where asking too often was the fault. */
  retryAfterSeconds?: number
}
export type GatewayClient = {
  ask<Data>(query: string, variables?: Record<string, unknown>): Promise<GraphAnswer<Data>>
}

/**
 * Asks the graph as a client does: over HTTP, with a bearer token.
 * `token` is called for every request, so that a long run can renew it.
 * @throws AppError UNAVAILABLE when nobody answers at `url` or the answer is not GraphQL.
 */
export function makeGatewayClient(options: { url: string; token: () => Promise<string> }): GatewayClient {
  return {
    async ask<Data>(query: string, variables: Record<string, unknown> = {}): Promise<GraphAnswer<Data>> {
      const answer = await post(options.url, await options.token(), JSON.stringify({ query, variables }))
      const errors = (answer.errors ?? []).map((error) => ({
        message: error.message,
        code: error.extensions?.code ?? 'INTERNAL',
        path: error.path ?? [],
        ...(error.extensions?.retryAfterSeconds && { retryAfterSeconds: error.extensions.retryAfterSeconds }),
      }))
      return { data: (answer.data as Data | undefined) ?? null, errors }
    },
  }
}

type WireAnswer = {
  data?: unknown
  errors?: {
    message: string
    path?: (string | number)[]
    extensions?: { code?: ErrorCode; retryAfterSeconds?: number }
  }[]
}

async function post(url: string, token: string, body: string): Promise<WireAnswer> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body,
    })
    return (await response.json()) as WireAnswer
  } catch (cause) {
    throw new AppError('UNAVAILABLE', `the graph at ${url} does not answer`, { cause })
  }
}
