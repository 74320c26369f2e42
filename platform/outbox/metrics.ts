import type pg from 'pg'
import { Gauge, type Registry } from 'prom-client'

const MEASURE = `
  SELECT count(*) FILTER (WHERE parked_at IS NULL)::int AS pending,
         count(*) FILTER (WHERE parked_at IS NOT NULL)::int AS parked,
         coalesce(extract(epoch FROM clock_timestamp() - min(created_at) FILTER (WHERE parked_at IS NULL)), 0)::float8 AS lag
  FROM outbox_events`

/** Shows what waits in the outbox, measured when asked; while the database is away they stay as they were. */
export function addOutboxMetrics(registry: Registry, systemSql: pg.Pool): void {
  const pending = new Gauge({ name: 'outbox_pending', help: 'Events not delivered yet', registers: [registry] })
  const parked = new Gauge({ name: 'outbox_parked', help: 'Events set aside for a person', registers: [registry] })
  new Gauge({
    name: 'outbox_lag_seconds',
    help: 'Age of the oldest event not delivered yet',
    registers: [registry],
    async collect() {
      const { rows } = await systemSql.query<{ pending: number; parked: number; lag: number }>(MEASURE).catch(() => {
        return { rows: [] }
      })
      const [now] = rows
      if (!now) return
      pending.set(now.pending)
      parked.set(now.parked)
      this.set(Math.max(0, now.lag))
    },
  })
}
