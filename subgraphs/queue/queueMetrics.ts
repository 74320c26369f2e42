import type pg from 'pg'
import { Counter, Gauge, type Registry } from 'prom-client'
import { type QueueStanding, STANDING } from './engine/standing.ts'

type Arrivals = { bucketAt: string; queue: string; type: string; enqueued: number; completed: number; failed: number }
type Measured = {
  queues: QueueStanding[] | null
  deadLetters: { queue: string; open: number }[] | null
  burning: { severity: string; alerts: number }[] | null
  leases: number
  minutes: Arrivals[] | null
  finalTo: string
}

// One statement for everything. Minutes are counted when they are final: the next ones can still add to the last two.
const MEASURE = `
  WITH final AS (SELECT reached_at - interval '2 minutes' AS until FROM chore_marks WHERE name = 'minute_metrics')
  SELECT (SELECT json_agg(s) FROM (${STANDING}) AS s) AS queues,
    (SELECT json_agg(d) FROM (SELECT queue_name AS queue, count(*)::int AS open FROM dead_letter_jobs
      WHERE NOT is_resolved GROUP BY 1) AS d) AS "deadLetters",
    (SELECT json_agg(b) FROM (SELECT a.severity, count(*)::int AS alerts FROM queue_alert_history h
      JOIN queue_alerts a ON a.id = h.alert_id WHERE h.resolved_at IS NULL GROUP BY 1) AS b) AS burning,
    (SELECT count(*)::int FROM worker_leases) AS leases,
    (SELECT json_agg(m) FROM (SELECT queue_name AS queue, job_type AS type, sum(enqueued)::int AS enqueued,
      sum(completed)::int AS completed, sum(failed)::int AS failed FROM job_metrics, final
      WHERE granularity = 'minute' AND bucket_at >= coalesce($4, final.until) AND bucket_at < final.until
      GROUP BY 1, 2) AS m) AS minutes,
    (SELECT until FROM final) AS "finalTo"`

/** Scrapers that come together, or soon after each other, share one look. */
const FRESH_FOR_MS = 5_000
/** A look reads every job that waits: a second where they are 300,000. It may take a twentieth of the time. */
const FRESH_FOR_LOOKS = 20

/**
 * Shows how the queues of the whole platform stand, over all tenants: the same numbers wherever they are asked for. They
 * are measured when asked; while the database is away they stay as they were.
 */
export function addQueueMetrics(registry: Registry, pool: pg.Pool): void {
  const registers = [registry]
  const gauge = (name: string, help: string, labelNames: string[] = []) => {
    return new Gauge({ name, help, labelNames, registers, collect: measure })
  }
  const counter = (name: string, help: string) => {
    return new Counter({ name, help, labelNames: ['queue', 'type'], registers, collect: measure })
  }
  let countedTo: string | null = null
  let freshUntil = Number.NEGATIVE_INFINITY
  let measuring: Promise<void> | undefined

  /** Every metric is collected side by side; the first of them looks. */
  function measure(): Promise<void> {
    const now = performance.now()
    if (now < freshUntil) return Promise.resolve()
    measuring ??= look()
      .catch(() => undefined)
      .finally(() => {
        const end = performance.now()
        freshUntil = end + Math.max(FRESH_FOR_MS, FRESH_FOR_LOOKS * (end - now))
        measuring = undefined
      })
    return measuring
  }

  const waiting = gauge('queue_jobs_waiting', 'Jobs that could run now, by priority', ['queue', 'band'])
  const delayed = gauge('queue_jobs_delayed', 'Jobs that wait for their time', ['queue'])
  const inWork = gauge('queue_jobs_in_work', 'Jobs in work', ['queue'])
  const oldest = gauge('queue_oldest_waiting_seconds', 'How long the oldest job that could run has waited', ['queue'])
  const letters = gauge('queue_dead_letters_open', 'Jobs given up that nobody has decided on', ['queue'])
  const burning = gauge('queue_alerts_burning', 'Alerts that have fired and not ended', ['severity'])
  const leases = gauge('queue_leases', 'Claimed batches with jobs that have no outcome')
  const enqueued = counter('queue_jobs_enqueued_total', 'Jobs enqueued in the minutes counted since this process began')
  const completed = counter('queue_jobs_completed_total', 'Jobs completed in these minutes')
  const failed = counter('queue_jobs_failed_total', 'Jobs given up in these minutes')

  async function look(): Promise<void> {
    const { rows } = await pool.query<Measured>(MEASURE, [null, null, null, countedTo])
    const measured = rows[0] as Measured
    for (const { queueName: queue, ...standing } of measured.queues ?? []) {
      for (const band of ['high', 'normal', 'low'] as const) waiting.set({ queue, band }, standing[band])
      delayed.set({ queue }, standing.delayed)
      inWork.set({ queue }, standing.inWork)
      oldest.set({ queue }, standing.oldestSeconds)
    }
    const open = new Map(measured.deadLetters?.map((one) => [one.queue, one.open]))
    for (const { queueName: queue } of measured.queues ?? []) letters.set({ queue }, open.get(queue) ?? 0)
    const alerts = new Map(measured.burning?.map((one) => [one.severity, one.alerts]))
    for (const severity of ['info', 'warning', 'critical']) burning.set({ severity }, alerts.get(severity) ?? 0)
    leases.set(measured.leases)
    for (const { queue, type, ...counts } of measured.minutes ?? []) {
      enqueued.inc({ queue, type }, counts.enqueued)
      completed.inc({ queue, type }, counts.completed)
      failed.inc({ queue, type }, counts.failed)
    }
    countedTo = measured.finalTo
  }
}
