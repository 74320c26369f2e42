import { PLATFORM_TENANT } from '#platform/database/tenantScope.ts'
import type { Log } from '#platform/log.ts'
import { Chores } from './engine/chores.ts'
import { enqueueJobs } from './engine/enqueue.ts'
import type { Sql } from './engine/sql.ts'
import { refreshViews } from './tasks/refreshViews.ts'

/** More often than once a minute, so that none is left out; the receipt keeps it to one job each. */
const LOOK_EVERY_MS = 20_000

/** A late refresh is worth little: the next minute has its own. */
const ATTEMPTS = 3

/** Enqueues this minute's refresh of the analytics tier's views unless some worker has. Answers whether it did. */
export async function enqueueViewRefresh(sql: Sql, now = new Date()): Promise<boolean> {
  const { jobType, queueName } = refreshViews
  const minute = now.toISOString().slice(0, 'yyyy-mm-ddThh:mm'.length)
  const { results } = await enqueueJobs(sql, [
    { tenantId: PLATFORM_TENANT, source: jobType, key: minute, queueName, jobType, payload: {}, maxAttempts: ATTEMPTS },
  ])
  return results[0]?.status === 'enqueued'
}

/** Does so from now on. Any number of workers may. */
export function startViewRefresh({ sql, log }: { sql: Sql; log: Log }): { stop: () => void } {
  const chores = new Chores(log)
  chores.every(LOOK_EVERY_MS, () => enqueueViewRefresh(sql))
  return { stop: () => chores.stop() }
}
