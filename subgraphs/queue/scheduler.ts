import type pg from 'pg'
import type { Log } from '#platform/log.ts'
import { Chores } from './engine/chores.ts'
import { fireSchedules } from './engine/schedules.ts'
import type { WakeUp } from './engine/wakeUp.ts'
import { ensurePlatformSchedules } from './platformSchedules.ts'

const LOOK_EVERY_MS = 1_000

/** Fires what is due from now on, once the platform's own schedules are written. Any number of workers may. */
export function startScheduler({ pool, wakeUp, log }: { pool: pg.Pool; wakeUp: WakeUp; log: Log }): {
  stop: () => void
} {
  const chores = new Chores(log)
  let isEnsured = false
  chores.every(LOOK_EVERY_MS, async () => {
    if (!isEnsured) await ensurePlatformSchedules(pool)
    isEnsured = true
    const { readyQueues, troubles } = await fireSchedules(pool)
    wakeUp.announce(readyQueues)
    for (const { isStopped, ...trouble } of troubles) {
      if (isStopped) log.warn(trouble, 'a schedule cannot be fired and was stopped')
      else log.info(trouble, 'a due time of a schedule became no job')
    }
  })
  return { stop: () => chores.stop() }
}
