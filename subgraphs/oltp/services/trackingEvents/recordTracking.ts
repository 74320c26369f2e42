import type { TrackingHitInput, TrackingHitResult } from '#graphql/oltp'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import { groupBy } from '#platform/grouping.ts'
import { auditAll } from '#platform/outbox/announce.ts'
import { appendOutbox, type OutboxEventInput } from '#platform/outbox/append.ts'
import type { Context } from '../../context.ts'
import { type Suppressing, suppress } from '../leads/suppressions.ts'
import { makeEmailEvent } from '../mailFlow/emailEvents.ts'
import { transact } from '../sending/transact.ts'
import { type Applied, applyHits } from './applyHits.ts'
import { lockTracked, updateTracked } from './trackedMessages.ts'

const MAX_HITS = 1_000

/**
 * Records who opened mails, followed their links or unsubscribed, per tenant in one transaction: the mails' state, the
 * events that tell of it, and, for who unsubscribed, the suppression with all that ends by it. What is known changes
 * nothing, so a repeat is harmless. A hit on a mail that this tenant does not have is UNKNOWN and does nothing.
 * @throws AppError LIMIT_REACHED above 1000 hits, INVALID_INPUT for what is no id
 */
export async function recordTracking(
  context: Context,
  given: readonly TrackingHitInput[],
): Promise<TrackingHitResult[]> {
  if (given.length > MAX_HITS) throw new AppError('LIMIT_REACHED', `hits: at most ${MAX_HITS} at a time`)
  const hits = given.map((hit) => ({
    ...hit,
    tenantId: readId(hit.tenantId, 'tenantId'),
    messageId: readId(hit.messageId, 'messageId'),
  }))
  const results = new Map<TrackingHitInput, TrackingHitResult>()
  for (const [tenantId, own] of groupBy(hits, (hit) => hit.tenantId)) {
    const work = (tx: Queryable) => recordForTenant(tx, own, context.requestId)
    const outcomes = await runAsTenant(tenantId, () => transact(context, work, { retries: 3 }))
    for (const [hit, outcome] of outcomes) results.set(hit, outcome)
  }
  context.relay.wake()
  return hits.map((hit) => results.get(hit) ?? { hitId: hit.hitId, status: 'unknown', openClass: null })
}

async function recordForTenant(
  tx: Queryable,
  hits: readonly TrackingHitInput[],
  requestId: string,
): Promise<Map<TrackingHitInput, TrackingHitResult>> {
  const byMessage = groupBy(hits, ({ messageId }) => messageId)
  const messages = await lockTracked(tx, [...byMessage.keys()], { withLeads: hits.some(isFarewell) })
  const gone = new Set<string>()
  // Who unsubscribes by several mails at once does so by the first.
  const applied = [...messages.values()]
    .map((message) => ({ message, own: byMessage.get(message.id) ?? [] }))
    .sort((one, other) => farewellAt(one.own) - farewellAt(other.own))
    .map(({ message, own }) => applyHits(message, own, gone))
  const changed = applied.filter(({ events, unsubscribe }) => events.length > 0 || unsubscribe)
  if (changed.length > 0) {
    await updateTracked(
      tx,
      changed.map(({ message }) => message),
    )
    await appendOutbox(tx, makeEvents(changed, requestId))
    await unsubscribe(tx, changed, requestId)
  }
  const results = new Map<TrackingHitInput, TrackingHitResult>()
  for (const { classes } of applied) {
    for (const [hit, openClass] of classes) results.set(hit, { hitId: hit.hitId, status: 'recorded', openClass })
  }
  return results
}

function isFarewell({ kind }: TrackingHitInput): boolean {
  return kind === 'unsubscribe'
}

/** When hits of one mail unsubscribe, in milliseconds; those that do not come last. */
function farewellAt(hits: readonly TrackingHitInput[]): number {
  return Math.min(Number.MAX_SAFE_INTEGER, ...hits.filter(isFarewell).map(({ occurredAt }) => occurredAt.getTime()))
}

function makeEvents(applied: readonly Applied[], requestId: string): OutboxEventInput[] {
  return applied.flatMap(({ message, events }) =>
    events.map(({ version, ...event }) => {
      const { mailbox, timezone } = message
      return makeEmailEvent({ ...event, message: { ...message, version }, mailbox, timezone, requestId })
    }),
  )
}

/** Whoever unsubscribed is written to no more, at the address we wrote to nor at the one the lead has now. */
async function unsubscribe(tx: Queryable, applied: readonly Applied[], requestId: string): Promise<void> {
  const left = applied.flatMap(({ message, unsubscribe: hit }) => (hit ? [{ message, hit }] : []))
  const targets = left.flatMap(({ message, hit }): Suppressing[] => {
    const emails = new Set([message.toEmail, message.lead?.email ?? null].filter((email) => email !== null))
    return [...emails].map((email) => {
      return { email, reason: 'unsubscribe', sourceMessageId: message.id, at: hit.occurredAt }
    })
  })
  await suppress(tx, targets)
  await auditAll(
    tx,
    left.map(({ message, hit }) => ({
      tenantId: message.tenantId,
      correlationId: requestId,
      action: 'lead.unsubscribed',
      resourceType: message.leadId ? 'Lead' : 'InboxMessageRef',
      resourceId: message.leadId ?? message.id,
      newValues: { messageId: message.id, campaignId: message.campaignId },
      ipAddress: hit.ip,
      userAgent: hit.userAgent,
      notes: 'by a link in a mail',
    })),
  )
}
