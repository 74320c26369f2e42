import { Agent, request } from 'node:http'
import { sendSteadily } from '../support/steadyLoad.ts'

export type Shot = { kind: string; method: 'GET' | 'POST'; url: string; wanted: number }

/** Milliseconds from when a request was due to its whole answer. */
export type Timed = { kind: string; ms: number }

const BROWSER = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:125.0) Gecko/20100101 Firefox/125.0'

/**
 * Fires shots at a steady rate, whether or not earlier ones were answered: who is slow does not slow its own load.
 * @throws Error for an answer with another status than the shot wants
 */
export async function fire(shots: readonly Shot[], rate: number, signal?: AbortSignal): Promise<Timed[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 512 })
  try {
    return await sendSteadily({ count: shots.length, perSecond: rate, signal }, (n, dueAt) =>
      send(shots[n] as Shot, agent, dueAt),
    )
  } finally {
    agent.destroy()
  }
}

function send({ kind, method, url, wanted }: Shot, agent: Agent, dueAt: number): Promise<Timed> {
  return new Promise((resolve, reject) => {
    const body = method === 'POST' ? 'List-Unsubscribe=One-Click' : ''
    const headers = {
      'user-agent': BROWSER,
      ...(body && { 'content-type': 'application/x-www-form-urlencoded', 'content-length': body.length }),
    }
    const outgoing = request(url, { method, agent, headers }, (answer) => {
      answer.resume()
      answer.on('error', reject)
      answer.on('end', () => {
        if (answer.statusCode === wanted) resolve({ kind, ms: performance.now() - dueAt })
        else reject(new Error(`${kind}: ${answer.statusCode} instead of ${wanted}`))
      })
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}
