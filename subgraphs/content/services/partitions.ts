import type pg from 'pg'
import type { Log } from '#platform/log.ts'

const CHECK_EVERY_MS = 6 * 3_600_000

/**
 * Makes the access log's partitions of this month and the next three, now and every six hours. A failure is only logged:
 * the default partition takes whatever no month holds.
 */
export function keepMonthPartitions(systemSql: pg.Pool, log: Log): { stop: () => void } {
  const check = () =>
    systemSql.query("SELECT ensure_month_partitions('content_access_log', 0, 3)").catch((error) => {
      log.warn({ err: error }, 'partitions of the access log could not be made')
    })
  check()
  const timer = setInterval(check, CHECK_EVERY_MS)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}
