import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '#platform/errors.ts'
import { drainBody } from '#platform/http/drain.ts'

/** What is passed on of a request, and of its answer. Nothing else of either leaves. */
const ASKED = ['content-type', 'content-length'] as const
const ANSWERED = [
  ...['content-type', 'content-length', 'content-disposition', 'cache-control', 'x-content-type-options'],
] as const

/** Of a body that nobody takes, bytes: who sends more is cut off. */
const MOST_DROPPED = 100 * 1024 * 1024

/** A side that says nothing for so long has gone. */
const SILENT_MS = 30_000

/**
 * Passes files on, as they come, between clients and the content tier, which signed the address and knows whom it is
 * for: there is nothing to be asked of a client here.
 * @param contentUrl the tier's GraphQL address
 */
export function addFileRoutes(app: FastifyInstance, contentUrl: string) {
  app.register(async (files) => {
    files.removeAllContentTypeParsers()
    files.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
    files.route<{ Params: { '*': string } }>({
      method: ['GET', 'PUT'],
      url: '/files/*',
      handler: async (request, reply) => {
        const url = new URL(`/files/${encodeURIComponent(request.params['*'])}`, contentUrl)
        const answer = await passOn(url, request)
        return answerWith(answer, reply)
      },
    })
  })
}

/** @throws AppError UNAVAILABLE when the tier does not answer */
async function passOn(url: URL, { method, headers, raw }: FastifyRequest): Promise<IncomingMessage> {
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest
  const outgoing = send(url, { method, headers: pick(headers, ASKED) })
  outgoing.setTimeout(SILENT_MS, () => outgoing.destroy(new Error('the content tier says nothing')))
  raw.once('aborted', () => outgoing.destroy(new Error('the client has gone')))
  try {
    return await new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.on('response', resolve)
      outgoing.on('error', reject)
      raw.pipe(outgoing)
    })
  } catch (cause) {
    raw.unpipe(outgoing)
    await drainBody(raw, MOST_DROPPED)
    throw new AppError('UNAVAILABLE', 'the content tier does not answer', { cause, extensions: { tier: 'content' } })
  }
}

function answerWith(answer: IncomingMessage, reply: FastifyReply) {
  return reply
    .code(answer.statusCode ?? 502)
    .headers(pick(answer.headers, ANSWERED))
    .send(answer)
}

function pick(headers: IncomingMessage['headers'], names: readonly string[]): Record<string, string> {
  const entries = names.map((name) => [name, headers[name]] as const)
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}
