import { v7 as uuidv7 } from 'uuid'
import type { CreateScheduledJobInput, UpdateScheduledJobInput } from '#graphql/queue'
import { PLATFORM_TENANT } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import { audit } from '#platform/outbox/announce.ts'
import type { Context } from '../context.ts'
import { enqueueJobs } from '../engine/enqueue.ts'
import { toJobRequest } from '../engine/schedules.ts'
import { inTransaction, type Sql } from '../engine/sql.ts'
import { isPlatformSchedule } from '../platformSchedules.ts'
import type { JobRow, ScheduledJobRow } from './rows.ts'
import { type Definition, nextRunOf, readChanges, readNewSchedule } from './scheduleInput.ts'
import { requireTenantJobType } from './tenantJobTypes.ts'
import { actorOf, openWriter, type Writer } from './writer.ts'

/** Of one tenant; what operators make counts, but they are not held to it. */
const MOST_SCHEDULES = 100

const COLUMNS = `tenant_id AS "tenantId", id, name, queue_name AS "queueName", job_type AS "jobType", payload,
  cron_expression AS "cronExpression", timezone, is_active AS "isActive", next_run_at AS "nextRunAt",
  last_run_at AS "lastRunAt", run_count AS "runCount", priority, overlap_policy AS "overlapPolicy",
  missed_run_policy AS "missedRunPolicy", last_job_id AS "lastJobId", last_error AS "lastError",
  created_at AS "createdAt", updated_at AS "updatedAt"`

const INSERT = `
  INSERT INTO scheduled_jobs (tenant_id, id, name, queue_name, job_type, payload, cron_expression, timezone, is_active,
    priority, overlap_policy, missed_run_policy, next_run_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING ${COLUMNS}`

const LOCK = `
  SELECT ${COLUMNS} FROM scheduled_jobs WHERE ($1::uuid IS NULL OR tenant_id = $1) AND id = $2 FOR UPDATE`

const UPDATE = `
  UPDATE scheduled_jobs SET name = $3, payload = $4, cron_expression = $5, timezone = $6, is_active = $7, priority = $8,
    overlap_policy = $9, missed_run_policy = $10, next_run_at = $11, last_error = NULL
  WHERE tenant_id = $1 AND id = $2 RETURNING ${COLUMNS}`

const DELETE = 'DELETE FROM scheduled_jobs WHERE tenant_id = $1 AND id = $2'

const IS_RUNNING = `SELECT EXISTS (SELECT FROM jobs WHERE tenant_id = $1 AND id = $2 AND status = 'queued') AS running`

const HAS_RUN = `
  UPDATE scheduled_jobs SET last_job_id = $3, last_run_at = clock_timestamp(), run_count = run_count + 1, last_error = NULL
  WHERE tenant_id = $1 AND id = $2 RETURNING ${COLUMNS}`

// The database's clock is the one that fires.
const CLOCK = 'SELECT clock_timestamp() AS now'

/**
 * Makes a schedule: for the caller's own tenant; staff's is the platform's own, unless a tenant is named.
 * @throws AppError FORBIDDEN; INVALID_INPUT; CONFLICT for a name the tenant has already; LIMIT_REACHED
 */
export async function createScheduledJob(context: Context, input: CreateScheduledJobInput): Promise<ScheduledJobRow> {
  const writer = openWriter(context, 'owner', 'admin')
  if (writer.tenantId !== null) {
    if (input.tenantId != null) throw new AppError('FORBIDDEN', 'tenantId: is for staff')
    requireTenantJobType(input.jobType)
  }
  const tenantId = writer.tenantId ?? (input.tenantId == null ? PLATFORM_TENANT : readId(input.tenantId, 'tenantId'))
  const made = readNewSchedule(input)
  return change(context, writer, async (tx) => {
    if (writer.tenantId !== null) await requireRoom(tx, tenantId)
    const nextRunAt = nextRunOf(made, await readClock(tx))
    const { name, queueName, jobType, payload, cronExpression, timezone, isActive, priority } = made
    const { rows } = await tx.query<ScheduledJobRow>(INSERT, [
      ...[tenantId, uuidv7(), name, queueName, jobType, JSON.stringify(payload), cronExpression, timezone, isActive],
      ...[priority, made.overlapPolicy, made.missedRunPolicy, nextRunAt],
    ])
    return { action: 'scheduledJob.created', after: rows[0] as ScheduledJobRow }
  })
}

/**
 * Changes what is given. Times that were due and have not been looked at are forgotten when the times change.
 * @throws AppError NOT_FOUND; FORBIDDEN; INVALID_INPUT; CONFLICT for a name in use, or more than a stop of the platform's
 */
export async function updateScheduledJob(context: Context, input: UpdateScheduledJobInput): Promise<ScheduledJobRow> {
  const writer = openWriter(context, 'owner', 'admin')
  const id = readId(input.id, 'input.id')
  return change(context, writer, async (tx) => {
    const before = await lockSchedule(tx, writer, id)
    const { id: _id, isActive: _isActive, ...more } = input
    if (isPlatformSchedule(before) && Object.keys(more).length > 0) {
      throw new AppError('CONFLICT', 'is the platform’s own: only isActive can be changed')
    }
    const after = readChanges(before, input)
    const { name, payload, cronExpression, timezone, isActive, priority, overlapPolicy, missedRunPolicy } = after
    const isSameTime = (['cronExpression', 'timezone', 'isActive'] as const).every((key) => before[key] === after[key])
    const nextRunAt = isSameTime ? before.nextRunAt : nextRunOf(after, await readClock(tx))
    const { rows } = await tx.query<ScheduledJobRow>(UPDATE, [
      ...[before.tenantId, id, name, JSON.stringify(payload), cronExpression, timezone, isActive, priority],
      ...[overlapPolicy, missedRunPolicy, nextRunAt],
    ])
    return { action: 'scheduledJob.updated', before, after: rows[0] as ScheduledJobRow }
  })
}

/**
 * Removes a schedule; jobs that it has made stay. Answers its id.
 * @throws AppError NOT_FOUND; FORBIDDEN; INVALID_INPUT; CONFLICT for the platform's own
 */
export async function deleteScheduledJob(context: Context, input: { id: string }): Promise<string> {
  const writer = openWriter(context, 'owner', 'admin')
  const id = readId(input.id, 'input.id')
  await change(context, writer, async (tx) => {
    const before = await lockSchedule(tx, writer, id)
    if (isPlatformSchedule(before))
      throw new AppError('CONFLICT', 'is the platform’s own: it can be stopped by isActive')
    await tx.query(DELETE, [before.tenantId, id])
    return { action: 'scheduledJob.deleted', before, after: null }
  })
  return id
}

/**
 * Makes a job of a schedule now, active or not; its times stay as they are.
 * @throws AppError NOT_FOUND; FORBIDDEN; INVALID_INPUT; CONFLICT when its last job has not ended and it may not overlap
 */
export async function runScheduledJob(
  context: Context,
  input: { id: string },
): Promise<{ job: JobRow; scheduledJob: ScheduledJobRow }> {
  // Jobs are enqueued by the system role alone; whose schedule may be locked is decided by the writer's tenant all the same.
  const allowed = openWriter(context, 'owner', 'admin')
  const writer: Writer = { ...allowed, transaction: (work) => inTransaction(context.db.systemSql, work) }
  const id = readId(input.id, 'input.id')
  const made = { jobId: '', readyQueues: [] as string[] }
  const scheduledJob = await change(context, writer, async (tx) => {
    const before = await lockSchedule(tx, writer, id)
    if (before.overlapPolicy === 'skip' && (await isRunning(tx, before))) {
      throw new AppError('CONFLICT', 'its last job has not ended')
    }
    const { results, readyQueues } = await enqueueJobs(tx, [{ ...toJobRequest(before), userId: writer.caller.userId }])
    const jobId = results[0]?.jobId
    if (jobId == null) throw new AppError('CONFLICT', `it cannot be run: ${results[0]?.error}`)
    Object.assign(made, { jobId, readyQueues })
    const { rows } = await tx.query<ScheduledJobRow>(HAS_RUN, [before.tenantId, id, jobId])
    return { action: 'scheduledJob.run', before, after: rows[0] as ScheduledJobRow }
  })
  context.wakeUp.announce(made.readyQueues)
  const job = await context.loaders.jobs.load(made.jobId)
  if (!job) throw new AppError('NOT_FOUND', 'the job is gone')
  return { job, scheduledJob }
}

type Change<After> = { action: string; before?: ScheduledJobRow; after: After }

/** Makes one change and writes it into the audit log of the tenant whose schedule it is, both or neither. */
async function change<After extends ScheduledJobRow | null>(
  context: Context,
  writer: Writer,
  make: (tx: Sql) => Promise<Change<After>>,
): Promise<After> {
  try {
    const after = await writer.transaction(async (tx) => {
      const { action, before, after } = await make(tx)
      const { tenantId, id } = (after ?? before) as ScheduledJobRow
      await audit(tx, {
        ...{ ...actorOf(writer), tenantId, action, resourceType: 'ScheduledJob', resourceId: id },
        ...(before && { oldValues: auditedOf(before) }),
        ...(after && { newValues: auditedOf(after) }),
      })
      return after
    })
    context.relay.wake()
    return after
  } catch (error) {
    if ((error as { code?: unknown }).code !== '23505') throw error
    throw new AppError('CONFLICT', 'name: there is a scheduled job of this name', { cause: error })
  }
}

/** All but the payload, which may hold what only some may read. */
function auditedOf(schedule: ScheduledJobRow): Omit<Definition, 'payload'> & { lastJobId: string | null } {
  const { name, queueName, jobType, cronExpression, timezone, isActive, priority } = schedule
  const { overlapPolicy, missedRunPolicy, lastJobId } = schedule
  return {
    ...{ name, queueName, jobType, cronExpression, timezone, isActive, priority },
    ...{ overlapPolicy, missedRunPolicy, lastJobId },
  }
}

/** A tenant's users may touch only what they could have made: the rest is done for them, whether they like it or not. */
async function lockSchedule(tx: Sql, writer: Writer, id: string): Promise<ScheduledJobRow> {
  const { rows } = await tx.query<ScheduledJobRow>(LOCK, [writer.tenantId, id])
  if (!rows[0]) throw new AppError('NOT_FOUND', 'there is no such scheduled job')
  if (writer.tenantId !== null) requireTenantJobType(rows[0].jobType)
  return rows[0]
}

/** One after the other within a tenant, so that two cannot both be the last. */
async function requireRoom(tx: Sql, tenantId: string): Promise<void> {
  await tx.query(`SELECT pg_advisory_xact_lock(hashtext('schedules'), hashtext($1))`, [tenantId])
  const { rows } = await tx.query<{ count: number }>(
    'SELECT count(*)::int AS count FROM scheduled_jobs WHERE tenant_id = $1',
    [tenantId],
  )
  if ((rows[0]?.count ?? 0) >= MOST_SCHEDULES) {
    throw new AppError('LIMIT_REACHED', `a tenant has at most ${MOST_SCHEDULES} scheduled jobs`)
  }
}

async function isRunning(tx: Sql, { tenantId, lastJobId }: ScheduledJobRow): Promise<boolean> {
  return (await tx.query<{ running: boolean }>(IS_RUNNING, [tenantId, lastJobId])).rows[0]?.running ?? false
}

async function readClock(tx: Sql): Promise<Date> {
  return (await tx.query<{ now: Date }>(CLOCK)).rows[0]?.now as Date
}
