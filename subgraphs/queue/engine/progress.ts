import type { ClaimedJob } from './job.ts'
import type { Sql } from './sql.ts'

type Report = { tenantId: string; leaseId: string; percentage: number; message: string | null }

// Only for who holds the job still: locked, so that nobody takes the lease away meanwhile, in the order of their ids as
// everyone locks leases. Skips jobs whose outcome is being written: it says more, and who waits in another order than it
// does would deadlock.
const WRITE = `
  WITH report AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb)
      AS p("tenantId" uuid, id uuid, "leaseId" uuid, percentage int, message text)
  ), lease AS (
    SELECT id, job_ids FROM worker_leases WHERE id IN (SELECT "leaseId" FROM report) ORDER BY id FOR SHARE
  ), reported AS (
    SELECT j.tenant_id, j.id, p.percentage, p.message
    FROM report p
    JOIN lease l ON l.id = p."leaseId" AND p.id = ANY (l.job_ids)
    JOIN jobs j ON j.tenant_id = p."tenantId" AND j.id = p.id AND j.status = 'queued' FOR UPDATE OF j SKIP LOCKED
  )
  UPDATE jobs j SET progress_percentage = r.percentage, progress_message = r.message, updated_at = clock_timestamp()
  FROM reported r WHERE j.tenant_id = r.tenant_id AND j.id = r.id`

const CANCELLED = `SELECT id FROM jobs WHERE status = 'queued' AND cancel_requested_at IS NOT NULL`

/** Progress that tasks report, kept until the next write: of each job only the latest. */
export class ProgressBoard {
  #reports = new Map<string, Report>()

  /** @param percentage 0 to 100; what lies outside is taken for the nearer end */
  report({ id, tenantId, leaseId }: ClaimedJob, percentage: number, message?: string): void {
    const rounded = Math.round(Math.min(100, Math.max(0, percentage)) || 0)
    const text = message?.slice(0, 1_000).replaceAll(/[\0\p{Surrogate}]/gu, '\u{fffd}') ?? null
    this.#reports.set(id, { tenantId, leaseId, percentage: rounded, message: text })
  }

  /** Forgets a job that has ended: its outcome says more. */
  forget(jobId: string): void {
    this.#reports.delete(jobId)
  }

  /** Answers whose jobs have got further. */
  async write(sql: Sql): Promise<Set<string>> {
    if (this.#reports.size === 0) return new Set()
    const reports = [...this.#reports].map(([id, report]) => ({ id, ...report }))
    this.#reports = new Map()
    await sql.query(WRITE, [JSON.stringify(reports)])
    return new Set(reports.map(({ tenantId }) => tenantId))
  }
}

/** Running jobs that somebody wants stopped, whoever runs them: a look into a small index. */
export async function findCancelled(sql: Sql): Promise<string[]> {
  const { rows } = await sql.query<{ id: string }>(CANCELLED)
  return rows.map(({ id }) => id)
}
