import type pg from 'pg'
import type { Log } from '#platform/log.ts'

const CHECK_EVERY_MS = 6 * 3_600_000

/**
 * Makes the event partitions of this month and the next three, now and every six hours. A failure is only logged: the
 * default partition takes whatever no month holds, but a month whose events are in there already can't be made.
 */
export function keepMonthPartitions(systemSql: pg.Pool, log: Log): { stop: () => void } {
  const check = () =>
    systemSql.query("SELECT ensure_month_partitions('email_events', 0, 3)").catch((error) => {
      log.warn({ err: error }, 'event partitions could not be made')
    })
  check()
  const timer = setInterval(check, CHECK_EVERY_MS)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}
