import type { Sql } from './sql.ts'

/** How a queue stands, over all tenants. Bands: priorities 1 to 50 high, 51 to 150 normal, 151 and above low. */
export type QueueStanding = {
  queueName: string
  isActive: boolean
  /** Jobs that could run now and that nobody has begun. */
  high: number
  normal: number
  low: number
  /** Jobs that wait for their time. */
  delayed: number
  inWork: number
  /** How long the oldest job that could run has waited, in seconds; 0 when none waits. */
  oldestSeconds: number
}

/**
 * Jobs that wait, of the tenant $1 and in the queues $2, or with null of all, as of $3 or now. Two looks, one into each
 * index: rows that are no longer queued are in neither. A job in work stands as queued too, and is left out.
 */
export const waitingJobs = (inWork: string) => `
  SELECT queue_name, (priority > 50)::int + (priority > 150)::int AS band, greatest(run_at, queued_at) AS since, true AS is_due
  FROM jobs WHERE ($2::text[] IS NULL OR queue_name = ANY($2)) AND ($1::uuid IS NULL OR tenant_id = $1)
    AND status = 'queued' AND is_due
    AND id NOT IN (SELECT id FROM ${inWork})
  UNION ALL
  SELECT queue_name, (priority > 50)::int + (priority > 150)::int, greatest(run_at, queued_at), 
    run_at <= coalesce($3::timestamptz, clock_timestamp())
  FROM jobs WHERE ($2::text[] IS NULL OR queue_name = ANY($2)) AND ($1::uuid IS NULL OR tenant_id = $1)
    AND status = 'queued' AND NOT is_due`

/** Such jobs counted by queue; `oldest_seconds` is null when none could run. */
export const countWaiting = (inWork: string) => `
  SELECT queue_name,
    count(*) FILTER (WHERE is_due AND band = 0)::int AS high,
    count(*) FILTER (WHERE is_due AND band = 1)::int AS normal,
    count(*) FILTER (WHERE is_due AND band = 2)::int AS low,
    count(*) FILTER (WHERE NOT is_due)::int AS delayed,
    greatest(0, extract(epoch FROM coalesce($3::timestamptz, clock_timestamp()) - min(since) FILTER (WHERE is_due)))::float8 AS oldest_seconds
  FROM (${waitingJobs(inWork)}) AS waiting GROUP BY queue_name`

/** One row for each queue, over all tenants, as of $3; $1 and $2 are null. Columns as in QueueStanding. */
export const STANDING = `
  WITH in_work AS MATERIALIZED (SELECT id, queue_name FROM jobs_in_work($1))
  SELECT q.name AS "queueName", q.is_active AS "isActive", coalesce(w.high, 0) AS high, coalesce(w.normal, 0) AS normal,
    coalesce(w.low, 0) AS low, coalesce(w.delayed, 0) AS delayed, coalesce(w.oldest_seconds, 0) AS "oldestSeconds",
    (SELECT count(*)::int FROM in_work i WHERE i.queue_name = q.name) AS "inWork"
  FROM job_queues q LEFT JOIN (${countWaiting('in_work')}) AS w ON w.queue_name = q.name
  ORDER BY q.name`

/** How every queue stands: one statement, which takes as long as the waiting jobs are many. */
export async function readStanding(sql: Sql, now: Date): Promise<QueueStanding[]> {
  return (await sql.query<QueueStanding>(STANDING, [null, null, now])).rows
}
