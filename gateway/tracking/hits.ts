import type { FastifyRequest } from 'fastify'
import { v7 as uuidv7 } from 'uuid'
import { now } from '#platform/clock.ts'
import { TRACKING_JOB_TYPE, TRACKING_QUEUE, type TrackingHit } from '#platform/contracts/trackingHit.ts'
import type { JobToEnqueue } from '#platform/jobs/delivery.ts'
import type { TrackingToken } from '#platform/tracking/tokens.ts'

/** Longest name that a client's program may give itself here. */
const MAX_USER_AGENT_LENGTH = 300

/** Before everything that waits: who unsubscribes is written to no more from then on. */
const UNSUBSCRIBE_PRIORITY = 5

/**
 * The job that records one request for what a token stands for. A mail is unsubscribed from once, however often its
 * recipient asks; every other request is one of its own.
 */
export function makeHitJob(token: TrackingToken, request: FastifyRequest): JobToEnqueue {
  const { kind, tenantId, messageId } = token
  const hitId = uuidv7()
  const payload: TrackingHit = {
    hitId,
    kind,
    messageId,
    occurredAt: now().toISOString(),
    linkIndex: token.kind === 'click' ? token.linkIndex : null,
    userAgent: request.headers['user-agent']?.slice(0, MAX_USER_AGENT_LENGTH) ?? null,
    ip: request.ip,
    isPrefetch: isPrefetch(request),
  }
  return {
    tenantId,
    source: 'tracking',
    key: kind === 'unsubscribe' ? `unsubscribe/${messageId}` : hitId,
    queueName: TRACKING_QUEUE,
    jobType: TRACKING_JOB_TYPE,
    payload,
    ...(kind === 'unsubscribe' && { priority: UNSUBSCRIBE_PRIORITY }),
    subjectTypename: 'InboxMessageRef',
    subjectId: messageId,
  }
}

function isPrefetch({ headers }: FastifyRequest): boolean {
  return [headers['sec-purpose'], headers.purpose, headers['x-purpose'], headers['x-moz']].some(
    (purpose) => typeof purpose === 'string' && /prefetch|preview|prerender/i.test(purpose),
  )
}
