import type { DeadLetterGroupResolvers, DeadLetterResolvers, JobResolvers, ScheduledJobResolvers } from '#graphql/queue'
import { parsePageArgs } from '#platform/database/pages.ts'
import { AppError } from '#platform/errors.ts'
import type { Context } from '../context.ts'
import { mayReadPayloads } from '../services/jobFilters.ts'
import { findSubject } from '../services/jobs.ts'
import type { JobRow, QueueRow } from '../services/rows.ts'

/** The queue of anything that names one. Queues are never deleted. */
export const ofQueue = {
  queue: async ({ queueName }: { queueName: string }, _args: unknown, { loaders }: Context): Promise<QueueRow> => {
    const queue = await loaders.queues.load(queueName)
    if (!queue) throw new AppError('INTERNAL', `the queue ${queueName} is gone`)
    return queue
  },
}

const payload = <Payload>(row: { payload: Payload }, _args: unknown, { caller }: Context): Payload | null =>
  mayReadPayloads(caller) ? row.payload : null

/** Since when a job is in work; null when it is not. */
const inWork = async ({ id, status }: JobRow, { loaders }: Context) =>
  status === 'queued' ? loaders.inWork.load(id) : null

export const job: JobResolvers = {
  ...ofQueue,
  payload,
  status: async (row, _args, context) => ((await inWork(row, context)) ? 'processing' : row.status),
  attemptCount: async (row, _args, context) => row.attemptCount + ((await inWork(row, context)) ? 1 : 0),
  startedAt: async (row, _args, context) => (await inWork(row, context))?.startedAt ?? row.startedAt,
  result: ({ result }, _args, { caller }) => (mayReadPayloads(caller) ? result : null),
  __resolveReference: ({ id }, { loaders }) => loaders.jobs.load(id),
  subject: async (row, _args, { loaders }) => {
    if (row.subjectTypename !== 'Job' || row.subjectId === null) return findSubject(row)
    // Its own tier's entity: nobody else would resolve the reference.
    const subject = await loaders.jobs.load(row.subjectId)
    return subject && { ...subject, __typename: 'Job' as const }
  },
  logs: ({ tenantId, id }, args, { loaders }) =>
    loaders.logs.load({ tenantId, jobId: id, first: parsePageArgs(args).first }),
}

export const deadLetter: DeadLetterResolvers = {
  ...ofQueue,
  payload,
  job: ({ jobId }, _args, { loaders }) => loaders.jobs.load(jobId),
  resolvedBy: ({ resolvedBy }) => (resolvedBy ? { id: resolvedBy } : null),
}

export const scheduledJob: ScheduledJobResolvers = {
  ...ofQueue,
  payload,
  lastJob: ({ lastJobId }, _args, { loaders }) => (lastJobId ? loaders.jobs.load(lastJobId) : null),
}

export const deadLetterGroup: DeadLetterGroupResolvers = ofQueue
