import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { Pool } from 'undici'
import { findFreePort } from '#platform/local/freePort.ts'
import { post } from '../../gateway/tiers/post.ts'
import type { Start, Started } from './starting.ts'

const LIMITS = { timeoutMs: 30_000, maxAnswerBytes: 64 * 1024 * 1024 }
const HEADERS = { 'content-type': 'application/json' }

/**
 * No gateway: what comes is passed on to one subgraph, and its answer back, unread. By the same server and client as ours,
 * so that it shows what is left to be saved of what we do.
 */
export async function startRelay({ ports }: Start): Promise<Started> {
  const pool = new Pool(`http://127.0.0.1:${ports.oltp}`, { connections: 256 })
  const server = createServer(async (request, response) => {
    const answer = await post(pool, { path: '/graphql', headers: HEADERS, body: await text(request) }, LIMITS)
    response.writeHead(answer.status, { ...HEADERS, 'content-length': Buffer.byteLength(answer.text) })
    response.end(answer.text)
  })
  const port = await findFreePort()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${port}/graphql` }
}
