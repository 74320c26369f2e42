import type pg from 'pg'
import { Gauge, type Registry } from 'prom-client'

type Measure = { pending: number; parked: number; lag: number }

const MEASURE = `
  SELECT count(*) FILTER (WHERE parked_at IS NULL)::int AS pending,
         count(*) FILTER (WHERE parked_at IS NOT NULL)::int AS parked,
         coalesce(extract(epoch FROM clock_timestamp() - min(created_at) FILTER (WHERE parked_at IS NULL)), 0)::float8 AS lag
  FROM outbox_events`

/** Shows what waits in the outbox, measured when asked; while the database is away the numbers stay as they were. */
export function addOutboxMetrics(registry: Registry, systemSql: pg.Pool): void {
  // The gauges are collected side by side: they share one statement.
  let measuring: Promise<Measure | undefined> | undefined
  const measure = () => {
    measuring ??= systemSql
      .query<Measure>(MEASURE)
      .then(({ rows }) => rows[0])
      .catch(() => undefined)
      .finally(() => {
        measuring = undefined
      })
    return measuring
  }
  const addGauge = (name: string, help: string, value: keyof Measure) => {
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        const measured = await measure()
        if (measured) this.set(Math.max(0, measured[value]))
      },
    })
  }
  addGauge('outbox_pending', 'Events not delivered yet', 'pending')
  addGauge('outbox_parked', 'Events set aside for a person', 'parked')
  addGauge('outbox_lag_seconds', 'Age of the oldest event not delivered yet', 'lag')
}
