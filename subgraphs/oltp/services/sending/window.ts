import { z } from 'zod'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

const clockTime = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$|^24:00$/)

/** Days (1 is Monday) and hours in which mail leaves, as clocks show them where the campaign is. */
export const sendingWindow = z.object({
  days: z.array(z.int().min(1).max(7)).min(1).default([1, 2, 3, 4, 5, 6, 7]),
  from: clockTime.default('00:00'),
  to: clockTime.default('24:00'),
})
export type SendingWindow = z.output<typeof sendingWindow>

const ALWAYS: SendingWindow = { days: [1, 2, 3, 4, 5, 6, 7], from: '00:00', to: '24:00' }

/** A span of time, half open. */
export type Span = { from: Date; to: Date }

/** A window as it is stored; none, or one that cannot be read, means always. */
export function readWindow(stored: unknown): SendingWindow {
  const parsed = sendingWindow.safeParse(stored)
  return parsed.success ? parsed.data : ALWAYS
}

/**
 * The span in which the window is open at `now`, from now on; or the next one. Null when there is none within 14 days.
 * A window whose end is not after its beginning ends on the next day. Where clocks change, an hour that they leave out
 * begins when they go on, and of one that they show twice the first counts.
 */
export function nextOpenSpan(window: SendingWindow, timezone: string, now: Date): Span | null {
  const today = localDate(now, timezone)
  // The day before may still be open after midnight.
  for (let days = -1; days <= 14; days += 1) {
    const date = addDays(today, days)
    if (!window.days.includes(isoWeekday(date))) continue
    const from = instantAt(date, minutesOf(window.from), timezone)
    const endsNextDay = minutesOf(window.to) <= minutesOf(window.from)
    const to = instantAt(endsNextDay ? addDays(date, 1) : date, minutesOf(window.to), timezone)
    if (to > now && to > from) return { from: from > now ? from : now, to }
  }
  return null
}

/** Whether the window is open. */
export function isOpen(window: SendingWindow, timezone: string, now: Date): boolean {
  return nextOpenSpan(window, timezone, now)?.from.getTime() === now.getTime()
}

/**
 * The span that can be planned at once: in the window, and within one day both of the tenant (whose days mailboxes,
 * domains and campaigns are counted by) and of UTC (addresses), so that what it promises is promised of one day.
 */
export function planningSpan(window: SendingWindow, timezones: { campaign: string; tenant: string }, now: Date) {
  const span = nextOpenSpan(window, timezones.campaign, now)
  if (!span) return null
  const ends = [span.to, nextMidnight(span.from, timezones.tenant), nextMidnight(span.from, 'UTC')]
  return { from: span.from, to: new Date(Math.min(...ends.map((end) => end.getTime()))) }
}

/** When the day after the one at `at` begins. */
export function nextMidnight(at: Date, timezone: string): Date {
  return instantAt(addDays(localDate(at, timezone), 1), 0, timezone)
}

/** A day of the calendar as midnight UTC of its date. */
type CalendarDate = number

function localDate(at: Date, timezone: string): CalendarDate {
  return Math.floor(wallClock(at.getTime(), timezone) / DAY_MS) * DAY_MS
}

function addDays(date: CalendarDate, days: number): CalendarDate {
  return date + days * DAY_MS
}

function isoWeekday(date: CalendarDate): number {
  return new Date(date).getUTCDay() || 7
}

function minutesOf(time: string): number {
  const [hours = '0', minutes = '0'] = time.split(':')
  return Number(hours) * 60 + Number(minutes)
}

/** The first instant at which clocks there show this time of this date, or, if they leave it out, a later one. */
function instantAt(date: CalendarDate, minutes: number, timezone: string): Date {
  const wanted = date + minutes * MINUTE_MS
  // Offsets are at most 14 hours: around the wanted time there are at most two of them, before and after a change.
  const offsets = [wanted - DAY_MS, wanted + DAY_MS].map((at) => wallClock(at, timezone) - at)
  const candidates = offsets.map((offset) => wanted - offset).sort((a, b) => a - b)
  const exact = candidates.find((at) => wallClock(at, timezone) === wanted)
  return new Date(exact ?? firstAfterGap(candidates[0] as number, candidates[1] as number, wanted, timezone))
}

/** Bisects for the change that leaves `wanted` out: the first instant whose clock shows a later time. */
function firstAfterGap(low: number, high: number, wanted: number, timezone: string): number {
  let before = low - MINUTE_MS
  let after = high + MINUTE_MS
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2)
    if (wallClock(middle, timezone) >= wanted) after = middle
    else before = middle
  }
  return after
}

const formats = new Map<string, Intl.DateTimeFormat>()

/** What clocks show there, as if it were UTC; milliseconds. An unknown timezone counts as UTC. */
function wallClock(at: number, timezone: string): number {
  const parts: Record<string, number> = {}
  for (const { type, value } of formatFor(timezone).formatToParts(at)) parts[type] = Number(value)
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts
  return Date.UTC(year, month - 1, day, hour, minute, second) + (((at % 1_000) + 1_000) % 1_000)
}

function formatFor(timezone: string): Intl.DateTimeFormat {
  const known = formats.get(timezone)
  if (known) return known
  const options: Intl.DateTimeFormatOptions = {
    ...({ year: 'numeric', month: 'numeric', day: 'numeric' } as const),
    ...({ hour: 'numeric', minute: 'numeric', second: 'numeric', hourCycle: 'h23' } as const),
  }
  let format: Intl.DateTimeFormat
  try {
    format = new Intl.DateTimeFormat('en-US', { ...options, timeZone: timezone })
  } catch {
    format = new Intl.DateTimeFormat('en-US', { ...options, timeZone: 'UTC' })
  }
  formats.set(timezone, format)
  return format
}
