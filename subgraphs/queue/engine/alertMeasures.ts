import { ENDED } from './jobMetricsSql.ts'
import type { Sql } from './sql.ts'
import { type QueueStanding, readStanding } from './standing.ts'
import { tryWithin } from './turns.ts'

export type AlertType =
  | 'high_pending'
  | 'slow_processing'
  | 'high_error_rate'
  | 'worker_offline'
  | 'backlog_age'
  | 'dead_letters'

/** What is asked of an alert to measure it. */
export type Watched = { id: string; alertType: AlertType; queueName: string | null; windowSeconds: number }

/** What an alert's value is now. `queueName` is where it is worst, when the alert watches all queues together. */
export type Measure = { value: number; queueName: string | null }

/** Attempts of the longest window at once, each counted for every alert that it concerns. */
const ATTEMPTS = `
  WITH watching AS (
    SELECT * FROM jsonb_to_recordset($3::jsonb) AS w(id uuid, "queueName" text, "windowSeconds" int)
  ), ended AS MATERIALIZED (${ENDED})
  SELECT w.id, count(*) FILTER (WHERE e.log_level <> 'info')::float8 / count(*) AS "failedShare",
    percentile_disc(0.95) WITHIN GROUP (ORDER BY e.duration_ms) AS "runP95Ms"
  FROM watching w JOIN ended e ON (w."queueName" IS NULL OR e.queue_name = w."queueName")
    AND e.created_at >= $2::timestamptz - w."windowSeconds" * interval '1 second'
  GROUP BY w.id`

const DEAD_LETTERS = `
  SELECT w.id, count(d.id)::int AS letters, mode() WITHIN GROUP (ORDER BY d.queue_name) AS "queueName"
  FROM jsonb_to_recordset($2::jsonb) AS w(id uuid, "queueName" text, "windowSeconds" int)
  LEFT JOIN dead_letter_jobs d ON NOT d.is_resolved AND d.created_at <= $1
    AND d.created_at > $1::timestamptz - w."windowSeconds" * interval '1 second'
    AND (w."queueName" IS NULL OR d.queue_name = w."queueName")
  GROUP BY w.id`

/** Workers are remembered for a week: of one never heard of, that is all that can be said. */
const LONGEST_SILENCE_SECONDS = 7 * 86_400

const SILENCE = `
  SELECT w.id, CASE WHEN max(v.last_heartbeat_at) IS NULL THEN $3 ELSE
    least($3, greatest(0, extract(epoch FROM $1::timestamptz - max(v.last_heartbeat_at)))) END::float8 AS seconds
  FROM jsonb_to_recordset($2::jsonb) AS w(id uuid, "queueName" text)
  LEFT JOIN workers v ON w."queueName" IS NULL OR w."queueName" = ANY (v.queues)
  GROUP BY w.id`

/**
 * Values of alerts as of `now`, by id: at most one statement for each kind of thing looked at, however many alerts and
 * queues there are. An alert whose value could not be had in time is missing.
 */
export async function measureAlerts(
  tx: Sql,
  alerts: readonly Watched[],
  now: Date,
  onFailure: (error: unknown) => void,
): Promise<Map<string, Measure>> {
  const measures = new Map<string, Measure>()
  const of = (...types: AlertType[]) => alerts.filter(({ alertType }) => types.includes(alertType))
  const look = async (watched: Watched[], read: (watched: Watched[]) => Promise<void>) => {
    if (watched.length > 0) await tryWithin(tx, () => read(watched), onFailure)
  }
  await look(of('high_pending', 'backlog_age'), async (watched) => {
    const standing = await readStanding(tx, now)
    for (const alert of watched) measures.set(alert.id, measureStanding(alert, standing))
  })
  await look(of('slow_processing', 'high_error_rate'), async (watched) => {
    const longest = Math.max(...watched.map(({ windowSeconds }) => windowSeconds))
    const from = new Date(now.getTime() - longest * 1_000)
    type Row = { id: string; failedShare: number; runP95Ms: number }
    const { rows } = await tx.query<Row>(ATTEMPTS, [from, now, JSON.stringify(watched)])
    const byId = new Map(rows.map((row) => [row.id, row]))
    for (const { id, alertType, queueName } of watched) {
      const row = byId.get(id)
      const value = alertType === 'slow_processing' ? row?.runP95Ms : row?.failedShare
      measures.set(id, { value: value ?? 0, queueName })
    }
  })
  await look(of('dead_letters'), async (watched) => {
    type Row = { id: string; letters: number; queueName: string | null }
    const { rows } = await tx.query<Row>(DEAD_LETTERS, [now, JSON.stringify(watched)])
    for (const { id, letters, queueName } of rows) measures.set(id, { value: letters, queueName })
  })
  await look(of('worker_offline'), async (watched) => {
    const { rows } = await tx.query<{ id: string; seconds: number }>(SILENCE, [
      now,
      JSON.stringify(watched),
      LONGEST_SILENCE_SECONDS,
    ])
    for (const { id, seconds } of rows) measures.set(id, { value: seconds, queueName: null })
  })
  return measures
}

/** What waits in a queue that a person paused waits as that person wants. */
function measureStanding({ alertType, queueName }: Watched, standing: readonly QueueStanding[]): Measure {
  const queues = standing.filter((queue) => queue.isActive && (queueName === null || queue.queueName === queueName))
  const amountOf = ({ high, normal, low, oldestSeconds }: QueueStanding) =>
    alertType === 'backlog_age' ? oldestSeconds : high + normal + low
  const values = queues.map((queue) => ({ value: amountOf(queue), queueName: queue.queueName }))
  const worst = values.reduce((most, one) => (one.value > most.value ? one : most), {
    value: 0,
    queueName: queueName ?? '',
  })
  const value = alertType === 'backlog_age' ? worst.value : values.reduce((sum, one) => sum + one.value, 0)
  return { value, queueName: worst.queueName || null }
}
