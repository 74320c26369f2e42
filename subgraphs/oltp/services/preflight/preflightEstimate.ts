import { localDay } from '../mailFlow/localDay.ts'
import { LONGEST_GAP_MS } from '../sending/slots.ts'
import { nextOpenSpan, type SendingWindow } from '../sending/window.ts'

const HOUR_MS = 3_600_000

/** Spans looked at: more than a year of days. What takes longer has no finish worth telling. */
const MAX_SPANS = 400

export type EstimateInput = {
  leads: number
  /** Hours before each mail of the sequence, counted from the one before it, or from the start. */
  waitHours: readonly number[]
  /** Mails that may leave on the tenant's day at an instant. */
  capacityOn: (at: Date) => number
  /** Mailboxes they leave from. */
  mailboxes: number
  /** Mails that the plan still allows; null for any number. */
  planRoom: number | null
  window: SendingWindow
  timezones: { campaign: string; tenant: string }
  startAt: Date
}

type Ready = { at: number; count: number }

/**
 * When the last mail of a campaign leaves if nobody answers, bounces or leaves: day by day, follow-ups before first mails,
 * as the planner does. Null when that is more than a year away, or never.
 */
export function estimateFinish(input: EstimateInput): Date | null {
  const { leads, waitHours, window, timezones, startAt } = input
  if (leads === 0 || waitHours.length === 0) return null
  const waiting: Ready[][] = waitHours.map(() => [])
  waiting[0]?.push({ at: startAt.getTime() + (waitHours[0] ?? 0) * HOUR_MS, count: leads })
  let left = leads * waitHours.length
  let planRoom = input.planRoom ?? Number.POSITIVE_INFINITY
  let at = startAt
  let day = ''
  let room = 0
  for (let spans = 0; spans < MAX_SPANS; spans += 1) {
    const span = nextOpenSpan(window, timezones.campaign, at)
    if (!span) return null
    const today = localDay(span.from, timezones.tenant)
    if (today !== day) room = input.capacityOn(span.from)
    day = today
    let sent = 0
    let last = span.from.getTime()
    for (let step = waiting.length - 1; step >= 0; step -= 1) {
      for (const ready of waiting[step] ?? []) {
        if (ready.at > span.to.getTime()) continue
        const count = Math.min(ready.count, room, planRoom)
        if (count === 0) continue
        ready.count -= count
        room -= count
        planRoom -= count
        sent += count
        const leaves = Math.max(ready.at, span.from.getTime())
        last = Math.max(last, leaves)
        waiting[step + 1]?.push({ at: leaves + (waitHours[step + 1] ?? 0) * HOUR_MS, count })
      }
      waiting[step] = (waiting[step] ?? []).filter(({ count }) => count > 0)
    }
    left -= sent
    if (left === 0) {
      const spread = last + (sent / Math.max(1, input.mailboxes)) * LONGEST_GAP_MS
      return new Date(Math.min(spread, Math.max(last, span.to.getTime())))
    }
    at = span.to
  }
  return null
}
