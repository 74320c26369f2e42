import type { SendFacts } from './decideSend.ts'
import type { SendOutcome } from './finish.ts'
import { planningSpan } from './window.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** When a mail is tried again: at a time of this span, or when the planner gives it one, not before `from`. */
export type Retry = { kind: 'at'; at: Date } | { kind: 'planned'; from: Date }

/** A server that greylists wants to be asked again after five minutes; one that is overloaded, later and later. */
const SHORTEST_DEFERRAL_MS = 5 * MINUTE_MS
const SHORTEST_ABSENCE_MS = MINUTE_MS
const LONGEST_MS = 4 * HOUR_MS

/** Where mail servers give up too (RFC 5321: four to five days). */
const PATIENCE_MS = 4 * DAY_MS

/** Whether and when a mail is tried again after an attempt that ended so; null when it is not. Business time. */
export function findRetry({ mail, campaign }: SendFacts, outcome: SendOutcome, at: Date): Retry | null {
  if (outcome === 'sent' || outcome === 'mailbox_unknown' || outcome === 'refused' || outcome === 'unknown') return null
  if (at.getTime() - mail.createdAt.getTime() > PATIENCE_MS) return null
  // Not the mail's fault: it waits until its mailbox is connected again.
  if (outcome === 'auth_failed') return { kind: 'planned', from: at }
  // Whoever takes it up next asks why.
  if (outcome === 'aborted') return { kind: 'at', at: mail.scheduledAt ?? at }
  const shortest = outcome === 'deferred' ? SHORTEST_DEFERRAL_MS : SHORTEST_ABSENCE_MS
  const delay = Math.min(LONGEST_MS, shortest * 2 ** Math.min(mail.sendAttempts - 1, 20))
  const next = new Date(at.getTime() + delay)
  if (!campaign) return { kind: 'at', at: next }
  const span = planningSpan(campaign.window, campaign.timezones, at)
  const isWithin = span && span.from.getTime() === at.getTime() && next < span.to
  return isWithin ? { kind: 'at', at: next } : { kind: 'planned', from: next }
}
