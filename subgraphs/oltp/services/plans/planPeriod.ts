/** A subscription's period as it was agreed: the first one, which those after it follow. The end is not included. */
export type AgreedPeriod = { periodStartAt: Date; periodEndAt: Date }

/** Which plan a subscription is of at an instant ($n): the next one, if one was chosen, once the agreed period has ended. */
export const planAt = (at: string) => `
  CASE WHEN s.next_plan_id IS NOT NULL AND s.period_end_at <= ${at} THEN s.next_plan_id ELSE s.plan_id END`

const DAY_MS = 86_400_000

/**
 * The period that an instant is in: the agreed one, or one of those that follow it without a gap, each as long. A period of
 * whole calendar months (UTC) is followed by such, so that one from the 1st stays one from the 1st; where a month has no
 * such day it begins on the month's last. Before the agreed period it is that one.
 */
export function periodAt(agreed: AgreedPeriod, at: Date): AgreedPeriod {
  const { periodStartAt, periodEndAt } = agreed
  if (at < periodEndAt) return { periodStartAt, periodEndAt }
  const startOf = startsOf(agreed)
  // Months differ in length: this is only about where it is.
  let index = Math.floor((at.getTime() - periodStartAt.getTime()) / (periodEndAt.getTime() - periodStartAt.getTime()))
  while (startOf(index) > at) index -= 1
  while (startOf(index + 1) <= at) index += 1
  return { periodStartAt: startOf(index), periodEndAt: startOf(index + 1) }
}

/** A subscription as it is at an instant: its plan, and its period; a next plan that has come is the plan. */
export function subscriptionAt<Row extends AgreedPeriod & { planId: string; nextPlanId: string | null }>(
  agreed: Row,
  at: Date,
): Row {
  const { nextPlanId, periodEndAt } = agreed
  const plan = nextPlanId !== null && periodEndAt <= at ? { planId: nextPlanId, nextPlanId: null } : {}
  return { ...agreed, ...plan, ...periodAt(agreed, at) }
}

/**
 * The first day (UTC, `2026-11-01`) of the period that the day of an instant belongs to. A day belongs to one period as a
 * whole, to the one that it begins in or that begins on it: what is promised of a day is promised of one period.
 */
export function periodDay({ periodStartAt, periodEndAt }: AgreedPeriod, at: Date): string {
  const start = dayOf(periodStartAt)
  const end = new Date(Math.max(dayOf(periodEndAt).getTime(), start.getTime() + DAY_MS))
  return periodAt({ periodStartAt: start, periodEndAt: end }, dayOf(at)).periodStartAt.toISOString().slice(0, 10)
}

/** When the period by number begins; the agreed one is number 0. */
function startsOf({ periodStartAt, periodEndAt }: AgreedPeriod): (index: number) => Date {
  const months =
    (periodEndAt.getUTCFullYear() - periodStartAt.getUTCFullYear()) * 12 +
    (periodEndAt.getUTCMonth() - periodStartAt.getUTCMonth())
  if (months > 0 && addMonths(periodStartAt, months).getTime() === periodEndAt.getTime()) {
    return (index) => addMonths(periodStartAt, months * index)
  }
  const length = periodEndAt.getTime() - periodStartAt.getTime()
  return (index) => new Date(periodStartAt.getTime() + length * index)
}

function addMonths(from: Date, months: number): Date {
  const moved = new Date(from)
  moved.setUTCDate(1)
  moved.setUTCMonth(moved.getUTCMonth() + months)
  const lastDay = new Date(Date.UTC(moved.getUTCFullYear(), moved.getUTCMonth() + 1, 0)).getUTCDate()
  moved.setUTCDate(Math.min(from.getUTCDate(), lastDay))
  return moved
}

function dayOf(at: Date): Date {
  return new Date(Math.floor(at.getTime() / DAY_MS) * DAY_MS)
}
