import { AppError } from '#platform/errors.ts'

/** Local days from `from` up to but not including `until`, as PostgreSQL dates. */
export type Days = { from: string; until: string }

export const ALL_DAYS: Days = { from: '-infinity', until: 'infinity' }

const DAY_MS = 86_400_000

/**
 * The days a range touches, its two ends read in UTC; all days without one. Facts know days and no hours: a range that
 * begins or ends within a day counts that day whole.
 * @throws AppError INVALID_INPUT when `to` is not after `from`
 */
export function readDays(range: { from: Date | string; to: Date | string } | null | undefined): Days {
  if (!range) return ALL_DAYS
  const from = new Date(range.from).getTime()
  const to = new Date(range.to).getTime()
  if (!(to > from)) throw new AppError('INVALID_INPUT', 'range: `to` must be after `from`')
  return { from: toDate(from), until: toDate(Math.ceil(to / DAY_MS) * DAY_MS) }
}

/** A calendar date of the database as YYYY-MM-DD. Prisma hands dates out as midnight UTC. */
export function formatDay(date: Date): string {
  return date.toISOString().slice(0, 10)
}

function toDate(ms: number): string {
  const date = new Date(ms)
  if (date.getUTCFullYear() < 1) return '-infinity'
  if (date.getUTCFullYear() > 9999) return 'infinity'
  return formatDay(date)
}
