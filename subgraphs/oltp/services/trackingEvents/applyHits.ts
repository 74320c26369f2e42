import type { TrackingHitInput } from '#graphql/oltp'
import type { EmailEventPayload, EmailEventType } from '#platform/contracts/emailEvent.ts'
import { classifyClick, classifyOpen, findBursts, type OpenClass } from './classifyHit.ts'
import type { TrackedMessage } from './trackedMessages.ts'

/** An event that a hit is, of the mail in the version that it has after it. */
export type TrackedEvent = {
  eventType: Extract<EmailEventType, 'opened' | 'clicked' | 'unsubscribed'>
  at: Date
  version: number
} & Pick<EmailEventPayload, 'openClass'>

/** What hits come to: the mail as it is after them, what is to be announced, and each hit's judgement. */
export type Applied = {
  message: TrackedMessage
  events: TrackedEvent[]
  /** By hit; null for an unsubscribe. */
  classes: Map<TrackingHitInput, OpenClass | null>
  /** The hit by which its recipient unsubscribed, if one did that had not before. */
  unsubscribe: TrackingHitInput | null
}

/**
 * Applies the hits of one mail in the order they happened. Of opens the first one counts and the first one by a person;
 * of clicks the first one by a person, since those of scanners say nothing of the recipient; it unsubscribes once.
 * @param gone leads that have unsubscribed by another mail just now; who does by this one is added
 */
export function applyHits(
  before: TrackedMessage,
  hits: readonly TrackingHitInput[],
  gone: Set<string> = new Set(),
): Applied {
  const message = { ...before }
  const events: TrackedEvent[] = []
  const classes: Applied['classes'] = new Map()
  let unsubscribe: TrackingHitInput | null = null
  const bursts = findBursts(hits.filter(({ kind }) => kind === 'click'))
  const announce = (event: Omit<TrackedEvent, 'version'>) => {
    message.version += 1
    events.push({ ...event, version: message.version })
  }

  for (const hit of [...hits].sort((a, b) => a.occurredAt.getTime() - b.occurredAt.getTime())) {
    const { kind, occurredAt: at } = hit
    const facts = { ...readFacts(hit), secondsSinceSent: secondsSince(message.deliveredAt ?? message.sentAt, at) }
    if (kind === 'open') {
      const openClass = classifyOpen(facts)
      classes.set(hit, openClass)
      const isFirst = message.openedAt === null
      const isFirstByPerson = openClass === 'human' && message.humanOpenedAt === null
      message.openedAt ??= at
      if (openClass === 'human') message.humanOpenedAt ??= at
      if (isFirst || isFirstByPerson) announce({ eventType: 'opened', at, openClass })
    } else if (kind === 'click') {
      const openClass = classifyClick({ ...facts, isBurst: bursts.has(hit) })
      classes.set(hit, openClass)
      if (openClass !== 'human' || message.clickedAt !== null) continue
      message.clickedAt = at
      announce({ eventType: 'clicked', at, openClass })
    } else {
      classes.set(hit, null)
      if (message.unsubscribedAt !== null) continue
      message.unsubscribedAt = at
      unsubscribe = hit
      // Who has unsubscribed already, by another mail, is not counted twice.
      const { lead, leadId } = message
      if (lead?.unsubscribedAt || (leadId !== null && gone.has(leadId))) continue
      if (leadId !== null) gone.add(leadId)
      announce({ eventType: 'unsubscribed', at })
    }
  }
  return { message, events, classes, unsubscribe }
}

function readFacts({ userAgent, ip, isPrefetch }: TrackingHitInput) {
  return { userAgent: userAgent ?? null, ip: ip ?? null, isPrefetch: isPrefetch ?? false }
}

function secondsSince(sentAt: Date | null, at: Date): number | null {
  return sentAt && (at.getTime() - sentAt.getTime()) / 1000
}
