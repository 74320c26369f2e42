import { v7 as uuidv7 } from 'uuid'
import type { AlertType } from './alertMeasures.ts'
import type { Sql } from './sql.ts'

type DefaultAlert = {
  name: string
  alertType: AlertType
  threshold: number
  resolveThreshold?: number
  windowSeconds?: number
  holdSeconds: number
  severity: 'info' | 'warning' | 'critical'
}

/** What every platform watches from its first day, over all queues. Operators change them as they like. */
export const DEFAULT_ALERTS: readonly DefaultAlert[] = [
  { name: 'No worker is at work', alertType: 'worker_offline', threshold: 60, holdSeconds: 0, severity: 'critical' },
  {
    ...{ name: 'Jobs wait too long', alertType: 'backlog_age' },
    ...{ threshold: 300, resolveThreshold: 60, holdSeconds: 60, severity: 'warning' },
  },
  {
    ...{ name: 'Jobs pile up', alertType: 'high_pending' },
    ...{ threshold: 50_000, resolveThreshold: 25_000, holdSeconds: 300, severity: 'warning' },
  },
  {
    ...{ name: 'Attempts fail', alertType: 'high_error_rate', windowSeconds: 600 },
    ...{ threshold: 0.25, resolveThreshold: 0.1, holdSeconds: 120, severity: 'warning' },
  },
  {
    ...{ name: 'Jobs run slowly', alertType: 'slow_processing', windowSeconds: 600 },
    ...{ threshold: 60_000, resolveThreshold: 30_000, holdSeconds: 300, severity: 'info' },
  },
  {
    ...{ name: 'Jobs are given up', alertType: 'dead_letters', windowSeconds: 3_600 },
    ...{ threshold: 10, holdSeconds: 0, severity: 'warning' },
  },
]

const ENSURE = `
  INSERT INTO queue_alerts (id, name, alert_type, threshold, resolve_threshold, window_seconds, hold_seconds, severity)
  SELECT id, name, "alertType", threshold, "resolveThreshold", coalesce("windowSeconds", 300), "holdSeconds", severity
  FROM jsonb_to_recordset($1::jsonb) AS d(id uuid, name text, "alertType" text, threshold float8,
    "resolveThreshold" float8, "windowSeconds" int, "holdSeconds" int, severity text)
  ON CONFLICT (name) DO NOTHING`

/** Makes the default alerts that are not there by name; what an operator changed or switched off stays as it is. */
export async function ensureDefaultAlerts(sql: Sql): Promise<void> {
  await sql.query(ENSURE, [JSON.stringify(DEFAULT_ALERTS.map((alert) => ({ ...alert, id: uuidv7() })))])
}
