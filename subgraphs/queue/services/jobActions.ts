import type { Queryable } from '#platform/database/tenantPool.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import { audit } from '#platform/outbox/announce.ts'
import type { Context } from '../context.ts'
import type { Sql } from '../engine/sql.ts'
import { findHeldJobs } from './inWork.ts'
import type { JobRow } from './rows.ts'
import { actorOf, openWriter, type Writer } from './writer.ts'

type LockedJob = { tenantId: string; id: string; status: JobRow['status']; jobType: string; queueName: string }

const FIND_QUEUE = `
  SELECT tenant_id AS "tenantId", queue_name AS "queueName" FROM jobs WHERE ($1::uuid IS NULL OR tenant_id = $1) AND id = $2`

const LOCK_JOB = `
  SELECT tenant_id AS "tenantId", id, status, job_type AS "jobType", queue_name AS "queueName" FROM jobs
  WHERE tenant_id = $1 AND id = $2 FOR UPDATE`

const REQUEUE = `
  UPDATE jobs SET status = 'queued', attempt_count = 0, run_at = clock_timestamp(), is_due = true, completed_at = NULL,
    failed_at = NULL, cancel_requested_at = NULL, updated_at = clock_timestamp(),
    expires_at = CASE WHEN expires_at > clock_timestamp() THEN expires_at END
  WHERE tenant_id = $1 AND id = ANY($2)`

const CANCEL = `UPDATE jobs SET status = 'cancelled', updated_at = clock_timestamp() WHERE tenant_id = $1 AND id = $2`

const REQUEST_CANCEL = `
  UPDATE jobs SET cancel_requested_at = clock_timestamp(), updated_at = clock_timestamp() WHERE tenant_id = $1 AND id = $2`

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
 * Takes a job out of its queue, or has the worker that is at it stop: within about a second, if its task listens at all.
 * @throws AppError NOT_FOUND, CONFLICT when it has ended, FORBIDDEN, INVALID_INPUT
 */
export async function cancelJob(context: Context, input: { id: string }): Promise<JobRow> {
  const writer = openWriter(context, 'owner', 'admin', 'manager')
  const job = await changeJob(writer, input.id, async (tx, { tenantId, id, status, jobType }) => {
    if (RECORDING.includes(jobType)) {
      throw new AppError('FORBIDDEN', 'jobs that count events or keep the audit log cannot be cancelled')
    }
    if (status !== 'queued' && status !== 'processing') throw new AppError('CONFLICT', `the job is ${status}`)
    await tx.query(status === 'queued' ? CANCEL : REQUEST_CANCEL, [tenantId, id])
    await tx.query(LOG, [tenantId, [id], status === 'queued' ? 'cancelled by a person' : 'asked to stop by a person'])
    return { action: 'job.cancelled', status: 'cancelled' }
  })
  return reload(context, job.id)
}

type Change = (tx: Sql, job: LockedJob) => Promise<{ action: string; status: JobRow['status'] }>

async function changeJob(writer: Writer, givenId: string, change: Change): Promise<LockedJob> {
  const id = readId(givenId, 'input.id')
  return writer.transaction(async (tx) => {
    const job = await lockJob(tx, writer, id)
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

/** Under the queue's lock, so that no claim takes the job meanwhile: what it is now it stays until the transaction ends. */
async function lockJob(tx: Sql, writer: Writer, id: string): Promise<LockedJob> {
  const { rows: found } = await tx.query<Pick<LockedJob, 'tenantId' | 'queueName'>>(FIND_QUEUE, [writer.tenantId, id])
  if (!found[0]) throw new AppError('NOT_FOUND', 'there is no such job')
  const { tenantId, queueName } = found[0]
  await tx.query('SELECT lock_queue($1)', [queueName])
  const { rows } = await tx.query<LockedJob>(LOCK_JOB, [tenantId, id])
  const job = rows[0] as LockedJob
  if (job.status !== 'queued') return job
  const held = await findHeldJobs({ tenantId: writer.tenantId, sql: tx as Queryable }, [id])
  return { ...job, status: held.has(id) ? 'processing' : 'queued' }
}

async function reload(context: Context, id: string): Promise<JobRow> {
  context.relay.wake()
  const job = await context.loaders.jobs.clear(id).load(id)
  if (!job) throw new AppError('NOT_FOUND', 'there is no such job')
  return job
}
