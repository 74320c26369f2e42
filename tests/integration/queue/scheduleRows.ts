import { randomUUID } from 'node:crypto'
import { demo, type QueueDatabase } from './queueDatabase.ts'

type Sql = QueueDatabase['sql']

/** Writes a schedule of the demo tenant, every five minutes unless it says otherwise, and answers its id. */
export async function writeSchedule(sql: Sql, changes: Record<string, unknown> = {}): Promise<string> {
  const id = randomUUID()
  const row: Record<string, unknown> = {
    tenant_id: demo,
    id,
    name: id,
    queue_name: 'content-archival',
    job_type: 'echo',
    payload: { text: 'hello' },
    cron_expression: '*/5 * * * *',
    next_run_at: '2026-03-02T10:00:00Z',
    ...changes,
  }
  const columns = Object.keys(row)
  const places = columns.map((_, index) => `$${index + 1}`)
  await sql.query(`INSERT INTO scheduled_jobs (${columns}) VALUES (${places})`, Object.values(row))
  return id
}

type Schedule = {
  is_active: boolean
  next_run_at: Date | null
  last_run_at: Date | null
  run_count: number
  last_job_id: string | null
  last_error: string | null
}

export async function readSchedule(sql: Sql, id: string): Promise<Schedule> {
  const { rows } = await sql.query<Schedule>('SELECT * FROM scheduled_jobs WHERE id = $1', [id])
  return rows[0] as Schedule
}

/** The jobs that a schedule has made, in the order in which it made them, with the due times of their receipts. */
export async function jobsOf(sql: Sql, scheduleId: string) {
  const { rows } = await sql.query<{ id: string; tenant_id: string; status: string; payload: unknown; due: string }>(
    `SELECT j.id, j.tenant_id, j.status, j.payload, j.priority, j.queue_name, j.job_type,
       substr(r.key, length($1::text) + 2) AS due
     FROM jobs j LEFT JOIN enqueue_receipts r ON r.tenant_id = j.tenant_id AND r.job_id = j.id AND r.source = 'schedule'
     WHERE j.correlation_id = $1 ORDER BY j.seq`,
    [scheduleId],
  )
  return rows
}
