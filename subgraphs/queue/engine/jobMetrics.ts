import type pg from 'pg'
import { MINUTES_OF, SUM_OF_HOUR, TIMES_OF_HOUR } from './jobMetricsSql.ts'
import { takeTurn, tryWithin } from './turns.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** An outcome whose transaction ended after its minute did still counts: so many minutes are computed again. */
const LATE_MINUTES = 2
/** After an outage one statement looks at so many minutes, and one call does so many steps. */
const MINUTES_A_STEP = 10
const MOST_STEPS = 150
const MINUTES_KEPT_DAYS = 7
const HOURS_KEPT_DAYS = 400
/** The times of an hour are exact, so they are taken from the log itself: longer than other statements may take. */
const HOUR_TIMEOUT_MS = 60_000

const TRIM = `DELETE FROM job_metrics WHERE granularity = $1 AND bucket_at < $2`

/**
 * Computes job_metrics of every minute and hour that is over and not computed yet, oldest first: from the log of
 * attempts and the jobs that arrived. Any number of processes may: one at a time is at it, and what was computed once is
 * the same computed again. After an outage it catches up, at most 25 hours a call and the last seven days.
 * @param now instead of the database's clock
 */
export async function computeMetrics(pool: pg.Pool, now?: Date): Promise<void> {
  await repeat(() => computeMinutes(pool, now))
  await repeat(() => computeHour(pool, now))
}

async function repeat(step: () => Promise<boolean>): Promise<void> {
  for (let steps = 0; steps < MOST_STEPS; steps++) if (!(await step())) return
}

/** The next few minutes. Answers whether there are more. */
async function computeMinutes(pool: pg.Pool, clock?: Date): Promise<boolean> {
  const answer = await takeTurn(
    pool,
    'minute_metrics',
    async (tx, { reachedAt, now }) => {
      const end = startOf(now, MINUTE_MS)
      const from = Math.max(reachedAt.getTime(), end - MINUTES_KEPT_DAYS * DAY_MS)
      if (from >= end) return { reachedAt: null, isMore: false }
      const upTo = Math.min(end, from + MINUTES_A_STEP * MINUTE_MS)
      await tx.query(MINUTES_OF, [new Date(from - LATE_MINUTES * MINUTE_MS), new Date(upTo)])
      return { reachedAt: new Date(upTo), isMore: upTo < end }
    },
    clock,
  )
  return answer?.isMore ?? false
}

/** The next hour, once its minutes are final. Answers whether there was one. */
async function computeHour(pool: pg.Pool, clock?: Date): Promise<boolean> {
  const answer = await takeTurn(
    pool,
    'hour_metrics',
    async (tx, { reachedAt, now }) => {
      const { rows } = await tx.query<{ reached_at: Date }>(
        `SELECT reached_at FROM chore_marks WHERE name = 'minute_metrics'`,
      )
      const minutes = rows[0]?.reached_at.getTime() ?? 0
      const oldest = startOf(now, HOUR_MS) - MINUTES_KEPT_DAYS * DAY_MS
      const from = new Date(Math.max(startOf(reachedAt, HOUR_MS), oldest))
      const to = new Date(from.getTime() + HOUR_MS)
      if (minutes < to.getTime() + LATE_MINUTES * MINUTE_MS) return { reachedAt: null, isDone: false }
      const times = async () => {
        await tx.query(`SELECT set_config('statement_timeout', $1, true)`, [String(HOUR_TIMEOUT_MS)])
        return tx.query(TIMES_OF_HOUR, [from, to])
      }
      const counted = await tx.query(SUM_OF_HOUR, [from, to])
      // An hour too full to be sorted in time keeps its counts.
      if (counted.rowCount) await tryWithin<unknown>(tx, times, () => undefined)
      await tx.query(TRIM, ['minute', new Date(now.getTime() - MINUTES_KEPT_DAYS * DAY_MS)])
      await tx.query(TRIM, ['hour', new Date(now.getTime() - HOURS_KEPT_DAYS * DAY_MS)])
      return { reachedAt: to, isDone: true }
    },
    clock,
  )
  return answer?.isDone ?? false
}

function startOf(time: Date, spanMs: number): number {
  return Math.floor(time.getTime() / spanMs) * spanMs
}
