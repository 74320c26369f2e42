import { isDeepStrictEqual } from 'node:util'
import type { EnqueueInput } from '#graphql/queue'
import { PLATFORM_TENANT } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import { audit } from '#platform/outbox/announce.ts'
import type { Context } from '../context.ts'
import { type EnqueueResult, enqueueJobs } from '../engine/enqueue.ts'
import { describeProblem } from '../engine/jobRequest.ts'
import { inTransaction } from '../engine/sql.ts'
import { tasks } from '../tasks/tasks.ts'
import type { JobRow } from './rows.ts'
import { RECORDING_JOB_TYPES, requireTenantJobType } from './tenantJobTypes.ts'
import { actorOf, openWriter, type Writer } from './writer.ts'

/** What a person's idempotency keys are kept under. */
const SOURCE = 'graph'

/** PostgreSQL reads JSON by recursion, and has an end. */
const DEEPEST_PAYLOAD = 200

export type Enqueued = { jobId: string; job: JobRow | null; status: 'enqueued' | 'duplicate' | 'replaced' }

/**
 * Enqueues one job on behalf of a person: an operator, for the platform or a tenant they name; a tenant's user, of the
 * types in the list. Who did it is in the audit log.
 * @throws AppError FORBIDDEN; INVALID_INPUT naming the field; CONFLICT when another job holds the unique key, or the
 *   idempotency key has been used for another job
 */
export async function enqueueForPerson(context: Context, input: EnqueueInput): Promise<Enqueued> {
  const writer = openWriter(context, 'owner', 'admin', 'manager')
  const tenantId = readTenant(writer, input)
  checkTask(input)
  const { queueName, jobType, payload, idempotencyKey, priority, runAt, expiresAt } = input
  const { result, readyQueues } = await inTransaction(context.db.systemSql, async (tx) => {
    const { results, readyQueues } = await enqueueJobs(tx, [
      {
        ...{ tenantId, queueName, jobType, payload, priority, runAt, expiresAt },
        ...{ source: idempotencyKey == null ? null : SOURCE, key: idempotencyKey },
        delayMs: input.delaySeconds == null ? null : input.delaySeconds * 1000,
        ...{ uniqueKey: input.uniqueKey, uniquePolicy: input.uniquePolicy, uniqueForSeconds: input.uniqueForSeconds },
        ...{ userId: writer.caller.userId, correlationId: writer.caller.requestId },
      },
    ])
    const result = results[0] as EnqueueResult
    if (result.status === 'enqueued' || result.status === 'replaced') {
      await audit(tx, {
        ...{ ...actorOf(writer), tenantId, action: `job.${result.status}` },
        ...{ resourceType: 'Job', resourceId: String(result.jobId), newValues: { queueName, jobType } },
      })
    }
    return { result, readyQueues }
  })
  if (result.jobId === null || result.status === 'rejected') throw rejection(result)
  context.wakeUp.announce(readyQueues)
  context.relay.wake()
  const job = await context.loaders.jobs.clear(result.jobId).load(result.jobId)
  if (result.status === 'duplicate' && idempotencyKey != null && job) refuseAnother(job, input)
  return { jobId: result.jobId, job, status: result.status }
}

function readTenant({ tenantId }: Writer, input: EnqueueInput): string {
  if (tenantId === null) return input.tenantId == null ? PLATFORM_TENANT : readId(input.tenantId, 'tenantId')
  if (input.tenantId != null) throw new AppError('FORBIDDEN', 'tenantId: is for staff')
  requireTenantJobType(input.jobType)
  return tenantId
}

/** What a worker would only find out by burying the job. */
function checkTask({ queueName, jobType, payload, runAt, delaySeconds }: EnqueueInput): void {
  if (runAt != null && delaySeconds != null) throw invalid('runAt and delaySeconds: one of them at most')
  if (delaySeconds != null && delaySeconds < 0) throw invalid('delaySeconds: is negative')
  if (RECORDING_JOB_TYPES.includes(jobType)) {
    throw new AppError('FORBIDDEN', 'jobType: jobs that count events or keep the audit log come from outboxes alone')
  }
  const task = tasks.find((known) => known.jobType === jobType)
  if (!task) throw invalid(`jobType: no task runs ${jobType.slice(0, 100)} jobs`)
  if (task.queueName !== queueName) throw invalid(`queueName: ${jobType} jobs run in the queue ${task.queueName}`)
  if (isDeeper(payload, DEEPEST_PAYLOAD)) throw invalid(`payload: is nested deeper than ${DEEPEST_PAYLOAD} levels`)
  const parsed = task.payload.safeParse(payload)
  if (!parsed.success) throw invalid(`payload: ${describeProblem(parsed.error)}`)
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some((part) => isDeeper(part, levels - 1))
}

/** The engine's reasons name the field; only a held key is not the input's own fault. */
function rejection({ error }: EnqueueResult): AppError {
  const reason = error ?? 'the job was not enqueued'
  return reason.startsWith('uniqueKey: is held') ? new AppError('CONFLICT', reason) : invalid(reason)
}

function refuseAnother(job: JobRow, { queueName, jobType, payload }: EnqueueInput): void {
  if (job.queueName === queueName && job.jobType === jobType && isDeepStrictEqual(job.payload, payload)) return
  throw new AppError('CONFLICT', 'idempotencyKey: has been used for another job')
}

function invalid(message: string): AppError {
  return new AppError('INVALID_INPUT', message)
}
