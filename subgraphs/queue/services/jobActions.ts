import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import { audit } from '#platform/outbox/announce.ts'
import type { Context } from '../context.ts'
import type { Sql } from '../engine/sql.ts'
import type { JobRow } from './rows.ts'
import { actorOf, openWriter, type Writer } from './writer.ts'

type LockedJob = { tenantId: string; id: string; status: JobRow['status']; jobType: string; queueName: string }

const LOCK_JOB = `
  SELECT tenant_id AS "tenantId", id, status, job_type AS "jobType", queue_name AS "queueName" FROM jobs
  WHERE ($1::uuid IS NULL OR tenant_id = $1) AND id = $2 FOR UPDATE`

const REQUEUE = `
  UPDATE jobs SET status = 'queued', attempt_count = 0, run_at = clock_timestamp(), completed_at = NULL, failed_at = NULL,
    expires_at = CASE WHEN expires_at > clock_timestamp() THEN expires_at END
  WHERE tenant_id = $1 AND id = ANY($2)`

const CANCEL = `UPDATE jobs SET status = 'cancelled' WHERE tenant_id = $1 AND id = $2`

const RESOLVE_LETTERS = `
  UPDATE dead_letter_jobs
  SET is_resolved = true, resolved_at = clock_timestamp(), resolved_by = $3, resolution_notes = $4
  WHERE tenant_id = $1 AND job_id = ANY($2) AND NOT is_resolved`

/** What is counted and noted about a tenant is not the tenant's to leave out; and the watermark promises it is counted. */
const RECORDING: readonly string[] = ['recordAudit', 'rollUpEvents']

const LOG = `
  INSERT INTO job_logs (tenant_id, job_id, attempt_number, log_level, message)
  SELECT $1, job_id, 0, 'info', $3 FROM unnest($2::uuid[]) AS job_id`

/**
 * Puts jobs of one tenant back at the start, due at once, their open dead letters resolved. They must be locked, and not
 * in work.
 */
export async function requeueJobs(
  tx: Sql,
  { tenantId, ids, userId, note }: { tenantId: string; ids: string[]; userId: string | null; note: string },
): Promise<void> {
  await tx.query(REQUEUE, [tenantId, ids])
  await tx.query(RESOLVE_LETTERS, [tenantId, ids, userId, note])
  await tx.query(LOG, [tenantId, ids, note])
}

/**
 * Runs a job again from its first attempt, at once.
 * @throws AppError NOT_FOUND, CONFLICT when it is done or in work, FORBIDDEN, INVALID_INPUT
 */
export async function retryJob(context: Context, input: { id: string }): Promise<JobRow> {
  const writer = openWriter(context, 'owner', 'admin', 'manager')
  const job = await changeJob(writer, input.id, async (tx, { tenantId, id, status }) => {
    if (status === 'processing') throw new AppError('CONFLICT', 'the job is in work')
    if (status === 'completed') throw new AppError('CONFLICT', 'the job is done')
    await requeueJobs(tx, { tenantId, ids: [id], userId: writer.caller.userId, note: 'retried by a person' })
    return { action: 'job.retried', status: 'queued' }
  })
  context.wakeUp.announce([job.queueName])
  return reload(context, job.id)
}

/**
 * Takes a job out of its queue before anyone began it.
 * @throws AppError NOT_FOUND, CONFLICT unless it waits there, FORBIDDEN, INVALID_INPUT
 */
export async function cancelJob(context: Context, input: { id: string }): Promise<JobRow> {
  const writer = openWriter(context, 'owner', 'admin', 'manager')
  const job = await changeJob(writer, input.id, async (tx, { tenantId, id, status, jobType }) => {
    if (RECORDING.includes(jobType)) {
      throw new AppError('FORBIDDEN', 'jobs that count events or keep the audit log cannot be cancelled')
    }
    if (status !== 'queued') throw new AppError('CONFLICT', `the job is ${status}, not queued`)
    await tx.query(CANCEL, [tenantId, id])
    await tx.query(LOG, [tenantId, [id], 'cancelled by a person'])
    return { action: 'job.cancelled', status: 'cancelled' }
  })
  return reload(context, job.id)
}

type Change = (tx: Sql, job: LockedJob) => Promise<{ action: string; status: JobRow['status'] }>

async function changeJob(writer: Writer, givenId: string, change: Change): Promise<LockedJob> {
  const id = readId(givenId, 'input.id')
  return writer.transaction(async (tx) => {
    const { rows } = await tx.query<LockedJob>(LOCK_JOB, [writer.tenantId, id])
    const [job] = rows
    if (!job) throw new AppError('NOT_FOUND', 'there is no such job')
    const { action, status } = await change(tx, job)
    await audit(tx, {
      ...actorOf(writer),
      tenantId: job.tenantId,
      action,
      resourceType: 'Job',
      resourceId: id,
      oldValues: { status: job.status },
      newValues: { status },
    })
    return job
  })
}

async function reload(context: Context, id: string): Promise<JobRow> {
  context.relay.wake()
  const job = await context.loaders.jobs.clear(id).load(id)
  if (!job) throw new AppError('NOT_FOUND', 'there is no such job')
  return job
}
