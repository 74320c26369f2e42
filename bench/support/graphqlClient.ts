import { Pool } from 'undici'

export type GraphqlClient = {
  /** Any status is an answer. */
  post: (query: string, variables: Record<string, unknown> | undefined) => Promise<{ status: number; text: string }>
  /** Ends what is being asked too: servers wait for that before they stop. */
  close: () => void
}

/** Asks one gateway as one user, over connections that stay open. */
export function openGraphqlClient(
  address: string,
  { token, connections }: { token: string; connections: number },
): GraphqlClient {
  const { origin, pathname: path } = new URL(address)
  const pool = new Pool(origin, { connections })
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` }
  return {
    async post(query, variables) {
      const body = JSON.stringify({ query, variables })
      const answer = await pool.request({ path, method: 'POST', headers, body })
      return { status: answer.statusCode, text: await answer.body.text() }
    },
    close: () => void pool.destroy(),
  }
}
