import type { ReadContext } from '../context.ts'
import { ENDED } from '../engine/jobMetricsSql.ts'
import { countWaiting } from '../engine/standing.ts'
import { inWorkSource } from './inWork.ts'
import { openReader } from './reader.ts'

/** How a queue stands for the caller. */
export type QueueCounts = {
  high: number
  normal: number
  low: number
  delayed: number
  processing: number
  failedLast24h: number
  oldestPendingSeconds: number | null
}

/** What became of the attempts that ended in the last five full minutes. */
export type QueueRates = { completed: number; failed: number }

const RATE_MINUTES = 5

// $1 is null for staff, who count all tenants' jobs. What is in work still stands in the jobs table as queued.
const count = (inWork: string) => `
  WITH in_work AS MATERIALIZED (SELECT id, queue_name FROM ${inWork})
  SELECT q.name, coalesce(w.high, 0) AS high, coalesce(w.normal, 0) AS normal, coalesce(w.low, 0) AS low,
    coalesce(w.delayed, 0) AS delayed, w.oldest_seconds AS "oldestPendingSeconds", f."failedLast24h",
    (SELECT count(*)::int FROM in_work i WHERE i.queue_name = q.name) AS processing
  FROM job_queues q
  LEFT JOIN (${countWaiting('in_work')}) AS w ON w.queue_name = q.name
  CROSS JOIN LATERAL (
    SELECT count(*)::int AS "failedLast24h"
    FROM jobs j WHERE ($1::uuid IS NULL OR j.tenant_id = $1) AND j.queue_name = q.name AND j.status = 'failed'
      AND j.failed_at >= (SELECT clock_timestamp() - interval '24 hours')
  ) f
  WHERE q.name = ANY($2)`

// A tenant's own attempts, which no table has counted.
const RATES_OF_TENANT = `
  SELECT queue_name AS name, count(*) FILTER (WHERE log_level = 'info')::int AS completed,
    count(*) FILTER (WHERE log_level <> 'info')::int AS failed
  FROM (${ENDED} AND l.tenant_id = $3) AS ended WHERE queue_name = ANY($4) GROUP BY 1`

// The last minute is computed some seconds after it is over: until then the five before it are the last.
const RATES = `
  WITH window_end AS (
    SELECT greatest(date_trunc('minute', clock_timestamp()) - interval '1 minute', least(reached_at, clock_timestamp())) AS at
    FROM chore_marks WHERE name = 'minute_metrics')
  SELECT m.queue_name AS name, sum(m.completed)::int AS completed, sum(m.failed + m.retried)::int AS failed
  FROM job_metrics m, window_end
  WHERE m.granularity = 'minute' AND m.bucket_at >= window_end.at - $1 * interval '1 minute'
    AND m.bucket_at < window_end.at AND m.queue_name = ANY($2)
  GROUP BY 1`

/** How queues stand for the caller, in one statement. */
export async function batchQueueCounts(context: ReadContext, names: readonly string[]): Promise<QueueCounts[]> {
  const { sql, tenantId } = await openReader(context, 'JobQueue')
  type Row = QueueCounts & { name: string }
  const { rows } = await sql.query<Row>(count(inWorkSource(tenantId)), [tenantId, names, null])
  const byName = new Map(rows.map((row) => [row.name, row]))
  const none = { high: 0, normal: 0, low: 0, delayed: 0, processing: 0, failedLast24h: 0, oldestPendingSeconds: null }
  return names.map((name) => byName.get(name) ?? none)
}

/** What became of the caller's attempts lately, by queue, in one statement. */
export async function batchQueueRates(context: ReadContext, names: readonly string[]): Promise<QueueRates[]> {
  const { sql, tenantId } = await openReader(context, 'JobQueue')
  const minute = Math.floor(Date.now() / 60_000) * 60_000
  const window = [new Date(minute - RATE_MINUTES * 60_000), new Date(minute)]
  const { rows } =
    tenantId === null
      ? await sql.query<QueueRates & { name: string }>(RATES, [RATE_MINUTES, names])
      : await sql.query<QueueRates & { name: string }>(RATES_OF_TENANT, [...window, tenantId, names])
  const byName = new Map(rows.map((row) => [row.name, row]))
  return names.map((name) => byName.get(name) ?? { completed: 0, failed: 0 })
}

/** Jobs a minute. */
export function throughputOf({ completed }: QueueRates): number {
  return completed / RATE_MINUTES
}

/** 0 to 1; null when nothing was tried. */
export function errorRateOf({ completed, failed }: QueueRates): number | null {
  const ended = completed + failed
  return ended === 0 ? null : failed / ended
}

export type QueueHealth = 'ok' | 'slow' | 'stalled' | 'paused'

const LONG_WAIT_SECONDS = 60
const MANY_FAIL = 0.5

/** The schema says what each means. */
export function healthOf(isActive: boolean, counts: QueueCounts, rates: QueueRates): QueueHealth {
  if (!isActive) return 'paused'
  const waitsLong = (counts.oldestPendingSeconds ?? 0) > LONG_WAIT_SECONDS
  if (waitsLong && counts.processing === 0 && rates.completed === 0) return 'stalled'
  return waitsLong || (errorRateOf(rates) ?? 0) > MANY_FAIL ? 'slow' : 'ok'
}
