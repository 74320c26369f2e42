import type pg from 'pg'
import type { Log } from '#platform/log.ts'
import { evaluateAlerts } from './engine/alerts.ts'
import { Chores } from './engine/chores.ts'
import { ensureDefaultAlerts } from './engine/defaultAlerts.ts'
import { computeMetrics } from './engine/jobMetrics.ts'

const COMPUTE_EVERY_MS = 15_000
const EVALUATE_EVERY_MS = 10_000
/** An evaluation reads every job that waits and every attempt of the windows: it may take a twentieth of the time. */
const REST_FOR_EVALUATIONS = 20
/** Rarer, and what lies in between would be forgotten. */
const LONGEST_REST_MS = 30_000

export type MonitoringOptions = {
  pool: pg.Pool
  log: Log
  /** Called after each evaluation in which something changed: its notifications wait to be delivered. */
  onAlert?: () => void
}

export type Monitoring = { stop: () => void }

/** Evaluates the alerts from now on. Any number of processes may: one at a time does. */
export function startAlerts({ pool, log, onAlert }: MonitoringOptions): Monitoring {
  const chores = new Chores(log)
  let restUntil = Number.NEGATIVE_INFINITY
  chores.every(
    EVALUATE_EVERY_MS,
    async () => {
      const begin = performance.now()
      if (begin < restUntil) return
      const { fired, resolved } = await evaluateAlerts(pool, { log })
      const end = performance.now()
      restUntil = end + Math.min(LONGEST_REST_MS, REST_FOR_EVALUATIONS * (end - begin) - EVALUATE_EVERY_MS)
      if (fired.length + resolved.length > 0) onAlert?.()
    },
    'the alerts cannot be evaluated',
  )
  return { stop: () => chores.stop() }
}

/** What a worker does for those who watch: the platform's own alerts are there, job_metrics keep up, alerts are evaluated. */
export function startMonitoring(options: MonitoringOptions): Monitoring {
  const { pool, log } = options
  const chores = new Chores(log)
  const alerts = startAlerts(options)
  let hasDefaults = false
  const ensureDefaults = async () => {
    if (hasDefaults) return
    await ensureDefaultAlerts(pool)
    hasDefaults = true
  }
  // The database may be away when the worker starts: then the chore sees to it.
  ensureDefaults().catch(() => undefined)
  chores.every(
    COMPUTE_EVERY_MS,
    async () => {
      await ensureDefaults()
      await computeMetrics(pool)
    },
    'job metrics cannot be computed',
  )
  return {
    stop: () => {
      chores.stop()
      alerts.stop()
    },
  }
}
