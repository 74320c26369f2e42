import type { ReadContext } from '../context.ts'
import { inWorkSource } from './inWork.ts'
import { openReader } from './reader.ts'
import type { QueueRow } from './rows.ts'

/** How a queue stands for the caller. */
export type QueueCounts = {
  name: string
  pending: number
  processing: number
  failedLast24h: number
  oldestPendingSeconds: number | null
}

// $1 is null for staff, who count all tenants' jobs. What is in work still stands in the jobs table as queued.
const count = (inWork: string) => `
  WITH in_work AS MATERIALIZED (SELECT queue_name, count(*)::int AS jobs FROM ${inWork} GROUP BY queue_name)
  SELECT q.name, greatest(0, d.jobs + l.jobs - coalesce(w.jobs, 0)) AS pending, coalesce(w.jobs, 0) AS processing,
    o."oldestPendingSeconds", f."failedLast24h"
  FROM job_queues q
  LEFT JOIN in_work w ON w.queue_name = q.name
  CROSS JOIN LATERAL (
    SELECT count(*)::int AS jobs FROM jobs j
    WHERE j.queue_name = q.name AND ($1::uuid IS NULL OR j.tenant_id = $1) AND j.status = 'queued' AND j.is_due
  ) d
  CROSS JOIN LATERAL (
    SELECT count(*)::int AS jobs FROM jobs j
    WHERE j.queue_name = q.name AND ($1::uuid IS NULL OR j.tenant_id = $1) AND j.status = 'queued' AND NOT j.is_due
  ) l
  CROSS JOIN LATERAL (
    SELECT extract(epoch FROM clock_timestamp() - min(j.run_at))::float8 AS "oldestPendingSeconds" FROM jobs j
    WHERE j.queue_name = q.name AND ($1::uuid IS NULL OR j.tenant_id = $1) AND j.status = 'queued' AND j.is_due
      AND j.id NOT IN (SELECT id FROM ${inWork})
  ) o
  CROSS JOIN LATERAL (
    SELECT count(*)::int AS "failedLast24h"
    FROM jobs j WHERE ($1::uuid IS NULL OR j.tenant_id = $1) AND j.queue_name = q.name AND j.status = 'failed'
      AND j.failed_at >= clock_timestamp() - interval '24 hours'
  ) f
  WHERE q.name = ANY($2)`

/** All queues, by name. They are the platform's, and every tenant's user may know them. */
export async function findQueues(context: ReadContext): Promise<QueueRow[]> {
  const client = context.caller.tenantId === null ? context.db.system : context.db.tenant
  return client.jobQueue.findMany({ orderBy: { name: 'asc' } })
}

/** Queues by name; null for what is no queue. */
export async function batchQueues(context: ReadContext, names: readonly string[]): Promise<(QueueRow | null)[]> {
  const rows = await findQueues(context)
  const byName = new Map(rows.map((row) => [row.name, row]))
  return names.map((name) => byName.get(name) ?? null)
}

/** How queues stand for the caller, in one statement. */
export async function batchQueueCounts(context: ReadContext, names: readonly string[]): Promise<QueueCounts[]> {
  const { sql, tenantId } = await openReader(context, 'JobQueue')
  const { rows } = await sql.query<QueueCounts>(count(inWorkSource(tenantId)), [tenantId, names])
  const byName = new Map(rows.map((row) => [row.name, row]))
  const none = { pending: 0, processing: 0, failedLast24h: 0, oldestPendingSeconds: null }
  return names.map((name) => byName.get(name) ?? { name, ...none })
}
