import type { Queryable } from '#platform/database/tenantPool.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import { audit } from '#platform/outbox/announce.ts'
import type { Context } from '../context.ts'
import { requeueEnded, requeueLocked } from '../engine/requeue.ts'
import type { Sql } from '../engine/sql.ts'
import { findHeldJobs } from './inWork.ts'
import { findJobPlace } from './jobPlaces.ts'
import { checkPriority } from './priorities.ts'
import type { JobRow } from './rows.ts'
import { RECORDING_JOB_TYPES } from './tenantJobTypes.ts'
import { actorOf, openWriter, type Writer } from './writer.ts'

type LockedJob = {
  tenantId: string
  id: string
  status: JobRow['status']
  jobType: string
  queueName: string
  priority: number
}

const LOCK_JOB = `
  SELECT tenant_id AS "tenantId", id, status, job_type AS "jobType", queue_name AS "queueName", priority FROM jobs
  WHERE tenant_id = $1 AND id = $2 FOR UPDATE`

const CANCEL = `UPDATE jobs SET status = 'cancelled', updated_at = clock_timestamp() WHERE tenant_id = $1 AND id = $2`

const REQUEST_CANCEL = `
  UPDATE jobs SET cancel_requested_at = clock_timestamp(), updated_at = clock_timestamp() WHERE tenant_id = $1 AND id = $2`

const REPRIORITIZE = `UPDATE jobs SET priority = $3, updated_at = clock_timestamp() WHERE tenant_id = $1 AND id = $2`

const LOG = `
  INSERT INTO job_logs (tenant_id, job_id, attempt_number, log_level, message)
  SELECT $1, job_id, 0, 'info', $3 FROM unnest($2::uuid[]) AS job_id`

/**
 * Runs a job again from its first attempt, at once.
 * @throws AppError NOT_FOUND, CONFLICT when it is done, in work, or another holds its unique key; FORBIDDEN, INVALID_INPUT
 */
export async function retryJob(context: Context, input: { id: string }): Promise<JobRow> {
  const writer = openWriter(context, 'owner', 'admin', 'manager')
  const job = await changeJob(writer, input.id, async (tx, { tenantId, id, status }) => {
    if (status === 'processing') throw new AppError('CONFLICT', 'the job is in work')
    if (status === 'completed') throw new AppError('CONFLICT', 'the job is done')
    const order = { tenantId, ids: [id], userId: writer.caller.userId, note: 'retried by a person' }
    if (status === 'queued') await requeueLocked(tx, order)
    else {
      const { refused } = await requeueEnded(tx, { ...order, from: [status] })
      if (refused.has(id)) throw new AppError('CONFLICT', String(refused.get(id)))
    }
    return { action: 'job.retried', oldValues: { status }, newValues: { status: 'queued' } }
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
    if (RECORDING_JOB_TYPES.includes(jobType)) {
      throw new AppError('FORBIDDEN', 'jobs that count events or keep the audit log cannot be cancelled')
    }
    if (status !== 'queued' && status !== 'processing') throw new AppError('CONFLICT', `the job is ${status}`)
    await tx.query(status === 'queued' ? CANCEL : REQUEST_CANCEL, [tenantId, id])
    await tx.query(LOG, [tenantId, [id], status === 'queued' ? 'cancelled by a person' : 'asked to stop by a person'])
    return { action: 'job.cancelled', oldValues: { status }, newValues: { status: 'cancelled' } }
  })
  return reload(context, job.id)
}

/**
 * Moves a job that waits up or down in its queue: 1 to 50 high, 51 to 150 normal, 151 and above low.
 * @throws AppError NOT_FOUND, CONFLICT unless it waits, FORBIDDEN, INVALID_INPUT
 */
export async function reprioritizeJob(context: Context, input: { id: string; priority: number }): Promise<JobRow> {
  const writer = openWriter(context, 'owner', 'admin', 'manager')
  const priority = checkPriority(input.priority)
  const job = await changeJob(writer, input.id, async (tx, { tenantId, id, status, priority: before }) => {
    if (status === 'processing') throw new AppError('CONFLICT', 'the job is in work')
    if (status !== 'queued') throw new AppError('CONFLICT', `the job is ${status}`)
    await tx.query(REPRIORITIZE, [tenantId, id, priority])
    await tx.query(LOG, [tenantId, [id], `given the priority ${priority} by a person`])
    return { action: 'job.reprioritized', oldValues: { priority: before }, newValues: { priority } }
  })
  return reload(context, job.id)
}

type Facts = Record<string, unknown>
type Change = (tx: Sql, job: LockedJob) => Promise<{ action: string; oldValues: Facts; newValues: Facts }>

async function changeJob(writer: Writer, givenId: string, change: Change): Promise<LockedJob> {
  const id = readId(givenId, 'input.id')
  return writer.transaction(async (tx) => {
    const job = await lockJob(tx, writer, id)
    const { action, oldValues, newValues } = await change(tx, job)
    await audit(tx, {
      ...actorOf(writer),
      tenantId: job.tenantId,
      action,
      resourceType: 'Job',
      resourceId: id,
      oldValues,
      newValues,
    })
    return job
  })
}

/**
 * What the job is now it stays until the transaction ends. One that waits is locked under its queue's lock, so that no
 * claim takes it meanwhile; one that has ended without, because who runs such a job again may have to wait for its key.
 */
async function lockJob(tx: Sql, writer: Writer, id: string): Promise<LockedJob> {
  const place = await findJobPlace(tx, writer.tenantId, id)
  if (!place) throw new AppError('NOT_FOUND', 'there is no such job')
  const { tenantId, queueName } = place
  const wasQueued = place.status === 'queued'
  if (wasQueued) await tx.query('SELECT lock_queue($1)', [queueName])
  const { rows } = await tx.query<LockedJob>(LOCK_JOB, [tenantId, id])
  const job = rows[0]
  if (!job) throw new AppError('NOT_FOUND', 'there is no such job')
  if (job.status !== 'queued') return job
  if (!wasQueued) throw new AppError('CONFLICT', 'the job has just been changed by somebody else')
  const held = await findHeldJobs({ tenantId: writer.tenantId, sql: tx as Queryable }, [id])
  return { ...job, status: held.has(id) ? 'processing' : 'queued' }
}

async function reload(context: Context, id: string): Promise<JobRow> {
  context.relay.wake()
  const job = await context.loaders.jobs.clear(id).load(id)
  if (!job) throw new AppError('NOT_FOUND', 'there is no such job')
  return job
}
