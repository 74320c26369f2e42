import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { AppError } from '#platform/errors.ts'

/** Shorter than fastify's 72 s, so that we drop an idle connection before the far side does. */
const IDLE_SOCKET_MS = 30_000
const KEEP_ALIVE = { keepAlive: true, maxSockets: 256, timeout: IDLE_SOCKET_MS }

const httpAgent = new HttpAgent(KEEP_ALIVE)
const httpsAgent = new HttpsAgent(KEEP_ALIVE)

export type HttpPost = { url: string; headers: Record<string, string>; body: string; timeoutMs: number }
export type HttpAnswer = { status: number; body: string }

/**
 * Posts JSON over a kept-alive connection. Any status is an answer. Never repeated here: only who asks knows whether
 * asking twice is harmless.
 * @throws AppError UNAVAILABLE when there is none within `timeoutMs`; addresses stay in its `cause`
 */
export async function postJson(post: HttpPost): Promise<HttpAnswer> {
  try {
    return await send(post)
  } catch (cause) {
    throw new AppError('UNAVAILABLE', 'the service does not answer', { cause })
  }
}

/** Closes idle connections; a process that ends need not wait for them. */
export function closeIdleConnections() {
  httpAgent.destroy()
  httpsAgent.destroy()
}

function send({ url, headers, body, timeoutMs }: HttpPost): Promise<HttpAnswer> {
  const secure = url.startsWith('https:')
  return new Promise((resolve, reject) => {
    const outgoing = (secure ? httpsRequest : httpRequest)(
      url,
      {
        method: 'POST',
        agent: secure ? httpsAgent : httpAgent,
        signal: AbortSignal.timeout(timeoutMs),
        headers: {
          ...headers,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
        },
      },
      (answer) => readAnswer(answer).then(resolve, reject),
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

async function readAnswer(answer: IncomingMessage): Promise<HttpAnswer> {
  const chunks: Buffer[] = []
  for await (const chunk of answer) chunks.push(chunk as Buffer)
  return { status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }
}
