import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Counter, Gauge } from 'prom-client'
import type { ServiceEdge } from '#platform/caller/edges.ts'
import { AppError } from '#platform/errors.ts'
import { makeServiceClient } from '#platform/graph/serviceClient.ts'
import { GroupCommit } from '#platform/groupCommit.ts'
import { type DeliverJobs, deliverOverGraph, type EnqueueAnswer, type JobToEnqueue } from '#platform/jobs/delivery.ts'
import type { Log } from '#platform/log.ts'
import type { Metrics } from '#platform/metrics.ts'
import type { TrackingKeys } from '#platform/tracking/keys.ts'
import { CLICK_PATH, OPEN_PATH, UNSUBSCRIBE_PATH } from '#platform/tracking/links.ts'
import { readToken, type TrackingKind } from '#platform/tracking/tokens.ts'
import { HitBuffer } from './hitBuffer.ts'
import { makeHitJob } from './hits.ts'
import { PAGES, PRIVATE, sendPage } from './pages.ts'

export type TrackingRoutesOptions = { queue: ServiceEdge; keys: TrackingKeys; log: Log; metrics: Metrics }

/** A transparent dot. */
const PIXEL = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64')

/** A form with one field, however it is written. */
const FORM_BYTES = 4_096

/** How many unsubscribes go to the queue at once. */
const BATCH_SIZE = 500

/**
 * Adds what links in mails lead to: `/t/o/…` (a pixel: opened), `/t/c/…` (to the link's target: clicked) and `/u/…` (a
 * page that asks, and unsubscribes on POST, RFC 8058). Everything that is needed stands in the signed token, so no tier
 * is asked: opens and clicks are answered at once and reach the queue a moment later; who unsubscribes is answered when
 * the queue has it. Nothing is recorded for HEAD, nor for a token that we did not sign.
 */
export function addTrackingRoutes(app: FastifyInstance, { queue, keys, log, metrics }: TrackingRoutesOptions): void {
  const deliver = deliverOverGraph(makeServiceClient(queue))
  const buffer = makeBuffer(deliver, log, metrics)
  const unsubscribes = makeUnsubscribes(deliver)
  const read = <Kind extends TrackingKind>(kind: Kind, request: FastifyRequest) =>
    readToken((request.params as { '*': string })['*'], kind, keys)
  app.addHook('onClose', () => buffer.close())

  app.get(`${OPEN_PATH}*`, async (request, reply) => {
    const token = read('open', request)
    if (!token) throw new AppError('NOT_FOUND', 'there is nothing here')
    if (request.method === 'GET') buffer.add(makeHitJob(token, request))
    return reply.headers({ 'content-type': 'image/gif', ...PRIVATE }).send(PIXEL)
  })

  app.get(`${CLICK_PATH}*`, async (request, reply) => {
    const token = read('click', request)
    if (!token) return sendPage(reply, PAGES.unknown)
    if (request.method === 'GET') buffer.add(makeHitJob(token, request))
    return reply.headers(PRIVATE).redirect(token.url, 302)
  })

  // Scanners follow every link: a GET only asks.
  app.get(`${UNSUBSCRIBE_PATH}*`, async (request, reply) =>
    sendPage(reply, read('unsubscribe', request) ? PAGES.ask : PAGES.unknown),
  )

  app.register(async (forms) => {
    // The token says it all; what is in the form, and in which of its two spellings, does not matter.
    forms.removeAllContentTypeParsers()
    forms.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, _body, done) => done(null))
    const answer = async (request: FastifyRequest, reply: FastifyReply) => {
      const token = read('unsubscribe', request)
      if (!token) return sendPage(reply, PAGES.unknown)
      try {
        await unsubscribes.submit('all', makeHitJob(token, request))
      } catch (error) {
        log.error({ err: error, tenant: token.tenantId }, 'someone could not unsubscribe')
        return sendPage(reply, PAGES.later)
      }
      return sendPage(reply, PAGES.done)
    }
    forms.post(`${UNSUBSCRIBE_PATH}*`, { bodyLimit: FORM_BYTES }, answer)
  })
}

function makeBuffer(deliver: DeliverJobs, log: Log, { registry }: Metrics): HitBuffer {
  const counter = new Counter({
    name: 'tracking_hits_total',
    help: 'Opens and clicks by what became of them: taken by the queue, refused by it, dropped because it was away',
    labelNames: ['outcome'] as const,
    registers: [registry],
  })
  const buffer = new HitBuffer({ deliver, log, counter })
  new Gauge({
    name: 'tracking_hits_held',
    help: 'Opens and clicks that the queue has not taken yet',
    registers: [registry],
    collect() {
      this.set(buffer.size)
    },
  })
  return buffer
}

/** Unsubscribes that come at the same time are one request to the queue; each is answered when the queue has it. */
function makeUnsubscribes(deliver: DeliverJobs): GroupCommit<JobToEnqueue, EnqueueAnswer> {
  return new GroupCommit({
    maxItems: BATCH_SIZE,
    isEverybodys: (error) => error instanceof AppError && error.code === 'UNAVAILABLE',
    async run(_all, jobs) {
      const answers = new Map((await deliver(jobs)).map((answer) => [answer.key, answer]))
      return jobs.map(({ key }) => {
        const answer = answers.get(key)
        if (!answer || answer.status === 'rejected') {
          throw new AppError('INTERNAL', answer?.error ?? 'the queue gave no answer for this one')
        }
        return answer
      })
    },
  })
}
