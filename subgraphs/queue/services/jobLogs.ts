import { groupBy } from '#platform/grouping.ts'
import type { ReadContext } from '../context.ts'
import { openReader } from './reader.ts'

export type JobLogRow = {
  id: string
  attemptNumber: number
  level: 'debug' | 'info' | 'warning' | 'error' | 'fatal'
  message: string
  context: unknown
  durationMs: number | null
  waitMs: number | null
  createdAt: Date
}

/** Whose log, and how many lines of it. */
export type LogKey = { tenantId: string; jobId: string; first: number }

const FIND_LOGS = `
  SELECT k.job_id AS "jobId", l.* FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS k(tenant_id, job_id, lines)
  CROSS JOIN LATERAL (
    SELECT g.id::text AS id, g.attempt_number AS "attemptNumber", g.log_level AS level, g.message, g.context,
      g.duration_ms AS "durationMs", g.wait_ms AS "waitMs", g.created_at AS "createdAt"
    FROM job_logs g WHERE g.tenant_id = k.tenant_id AND g.job_id = k.job_id
    ORDER BY g.created_at DESC, g.id DESC LIMIT k.lines
  ) l`

/** The latest lines of many jobs' logs in one statement, each list latest first. */
export async function batchLogs(context: ReadContext, keys: readonly LogKey[]): Promise<JobLogRow[][]> {
  const { sql } = await openReader(context, 'Job')
  const longest = new Map<string, LogKey>()
  for (const key of keys) if (key.first > (longest.get(key.jobId)?.first ?? 0)) longest.set(key.jobId, key)
  const asked = [...longest.values()]
  const { rows } = await sql.query<JobLogRow & { jobId: string }>(FIND_LOGS, [
    asked.map(({ tenantId }) => tenantId),
    asked.map(({ jobId }) => jobId),
    asked.map(({ first }) => first),
  ])
  const byJob = groupBy(rows, ({ jobId }) => jobId)
  return keys.map(({ jobId, first }) => (byJob.get(jobId) ?? []).slice(0, first))
}
