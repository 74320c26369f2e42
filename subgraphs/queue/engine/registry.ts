import type { Sql } from './sql.ts'

export type WorkerIdentity = { id: string; host: string; pid: number; queues: readonly string[] }
/** Jobs in work now; jobs completed and attempts failed since the start. */
export type WorkerCounts = { running: number; processed: number; failed: number }

const REGISTER = `INSERT INTO workers (id, host, pid, queues) VALUES ($1, $2, $3, $4)
  ON CONFLICT (id) DO NOTHING`

const BEAT = `
  INSERT INTO workers (id, host, pid, queues, running, processed, failed) VALUES ($1, $2, $3, $4, $5, $6, $7)
  ON CONFLICT (id) DO UPDATE SET last_heartbeat_at = clock_timestamp(), running = excluded.running,
    processed = excluded.processed, failed = excluded.failed`

const LEAVE = `
  UPDATE workers SET stopped_at = clock_timestamp(), last_heartbeat_at = clock_timestamp(), running = 0 WHERE id = $1`

const FORGET = `
  DELETE FROM workers w WHERE last_heartbeat_at < clock_timestamp() - $1 * interval '1 day'
    AND NOT EXISTS (SELECT 1 FROM worker_leases l WHERE l.worker_id = w.id)`

/** Enters a worker: only a registered one can claim. */
export async function registerWorker(sql: Sql, { id, host, pid, queues }: WorkerIdentity): Promise<void> {
  await sql.query(REGISTER, [id, host, pid, queues])
}

/** Says that a worker lives and what it has done; enters it again should someone have forgotten it. */
export async function reportWorker(sql: Sql, worker: WorkerIdentity, counts: WorkerCounts): Promise<void> {
  const { id, host, pid, queues } = worker
  await sql.query(BEAT, [id, host, pid, queues, counts.running, counts.processed, counts.failed])
}

/** Says that a worker left in good order. */
export async function leaveRegistry(sql: Sql, workerId: string): Promise<void> {
  await sql.query(LEAVE, [workerId])
}

/** Drops workers not heard of for so many days. */
export async function forgetWorkers(sql: Sql, days: number): Promise<void> {
  await sql.query(FORGET, [days])
}
