import type { QueryJobMetricsArgs } from '#graphql/queue'
import { type Connection, findPage } from '#platform/database/pages.ts'
import type { ReadContext } from '../context.ts'
import { openReader, recordStaffRead } from './reader.ts'
import type { JobMetricRow, ScheduledJobRow, WorkerRow } from './rows.ts'

type PageArguments = { first?: number | null; after?: string | null }

/** Schedules, newest first; staff's are every tenant's. */
export async function findScheduledJobs(
  context: ReadContext,
  page: PageArguments,
): Promise<Connection<ScheduledJobRow>> {
  const { prisma } = await openReader(context, 'ScheduledJob')
  const schedules = await findPage(prisma.scheduledJob, { sort: [{ field: 'createdAt', direction: 'desc' }], ...page })
  return schedules as Connection<ScheduledJobRow>
}

/** Worker processes, last heard of first. */
export async function findWorkers(context: ReadContext, page: PageArguments): Promise<Connection<WorkerRow>> {
  await recordStaffRead(context, 'Worker')
  return findPage(context.db.system.worker, { sort: [{ field: 'lastHeartbeatAt', direction: 'desc' }], ...page })
}

/** How queues did in a span of time, latest first. */
export async function findJobMetrics(context: ReadContext, args: QueryJobMetricsArgs): Promise<JobMetricRow[]> {
  await recordStaffRead(context, 'JobMetric')
  const rows = await context.db.system.jobMetric.findMany({
    where: {
      granularity: args.granularity ?? 'hour',
      bucketAt: { gte: args.range.from, lt: args.range.to },
      queueName: args.queueName ?? undefined,
    },
    orderBy: [{ bucketAt: 'desc' }, { queueName: 'asc' }, { jobType: 'asc' }],
    take: 1_000,
  })
  return rows as JobMetricRow[]
}
