import { createHash } from 'node:crypto'
import { PLATFORM_TENANT } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { audit } from '#platform/outbox/announce.ts'
import type { Context } from '../context.ts'
import { enqueueJobs } from '../engine/enqueue.ts'
import { inTransaction } from '../engine/sql.ts'
import type { Order, Step, Sweep } from '../engine/sweep.ts'
import type { PlatformTask } from '../tasks/services.ts'
import type { JobRow } from './rows.ts'
import { actorOf, type Writer } from './writer.ts'

/** So many rows are changed at once, in one transaction; more are a job's work. */
const MOST_AT_ONCE = 1_000
/** Somebody waits for it. */
const PRIORITY = 10

export type Bulk<Filter, Row> = {
  sweep: Sweep<Filter, Row>
  /** Does it for more rows than go at once. */
  task: PlatformTask
  filter: Filter
  notes?: string | null
  dryRun: boolean
  /** As a job even if at once would do. */
  asJob: boolean
}

/** `rows` are those concerned, at most 1000; `job`, if there is one, does what is not done yet. */
export type BulkOutcome<Row> = Step & { dryRun: boolean; matched: number; rows: Row[]; job: JobRow | null }

const NOTHING: Step = { ids: [], failures: [], queueNames: [] }

/** Does one thing to all rows that fit a filter: tries it dry, does it at once, or has a job do it. */
export async function runBulk<Filter extends object, Row>(
  context: Context,
  writer: Writer,
  bulk: Bulk<Filter, Row>,
): Promise<BulkOutcome<Row>> {
  const { sweep, filter, notes = null, dryRun } = bulk
  const { userId, requestId } = writer.caller
  const order: Order<Filter> = { filter, userId, correlationId: requestId, notes, isStaff: writer.tenantId === null }
  const { matched, rows, step } = await writer.transaction(async (tx) => {
    const counted = await sweep.count(tx, filter, null)
    const found = await sweep.find(tx, filter, { asOf: null, after: null, limit: MOST_AT_ONCE })
    if (dryRun || bulk.asJob || counted > MOST_AT_ONCE) return { matched: counted, rows: found, step: null }
    return { matched: counted, rows: found, step: await sweep.apply(tx, found, order) }
  })
  const jobId = step || dryRun || matched === 0 ? null : await enqueueBulk(context, writer, bulk)
  context.relay.wake()
  context.wakeUp.announce(step?.queueNames ?? [])
  const job = jobId === null ? null : await context.loaders.jobs.load(jobId)
  return { ...(step ?? NOTHING), dryRun, matched, rows, job }
}

/** A second job for the same filter while the first is not done is the first one. */
async function enqueueBulk<Filter extends object, Row>(
  { db, wakeUp }: Context,
  writer: Writer,
  { task: { jobType, queueName }, filter, notes }: Bulk<Filter, Row>,
): Promise<string> {
  const tenantId = writer.tenantId ?? PLATFORM_TENANT
  const { userId, requestId } = writer.caller
  const payload = { filter, notes: notes ?? null }
  const uniqueKey = `${jobType} ${createHash('sha256').update(JSON.stringify(payload)).digest('hex')}`
  const request = {
    tenantId,
    queueName,
    jobType,
    payload,
    priority: PRIORITY,
    uniqueKey,
    userId,
    correlationId: requestId,
  }
  const { result, readyQueues } = await inTransaction(db.systemSql, async (tx) => {
    const { results, readyQueues } = await enqueueJobs(tx, [request])
    const [result] = results
    if (result?.status === 'enqueued') {
      await audit(tx, {
        ...{
          ...actorOf(writer),
          tenantId,
          action: 'job.enqueued',
          resourceType: 'Job',
          resourceId: String(result.jobId),
        },
        newValues: { queueName, jobType, ...payload },
      })
    }
    return { result, readyQueues }
  })
  if (result?.jobId == null) throw new AppError('INVALID_INPUT', result?.error ?? 'the job was not enqueued')
  wakeUp.announce(readyQueues)
  return result.jobId
}
