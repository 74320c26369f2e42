import DataLoader from 'dataloader'
import type { Connection } from '#platform/database/pages.ts'
import { loadNodes } from '#platform/database/pagesPerParent.ts'
import type { ReadContext } from './context.ts'
import { batchBurning } from './services/alerts.ts'
import { batchJobPages, type JobListName, type PageKey } from './services/jobLists.ts'
import { batchLogs, type LogKey } from './services/jobLogs.ts'
import { batchInWork, batchJobs } from './services/jobs.ts'
import { batchQueueCounts, batchQueueRates } from './services/queueCounts.ts'
import { batchQueues } from './services/queues.ts'
import type { JobRow } from './services/rows.ts'
import { batchSendProgress } from './services/sendProgress.ts'

export type Loaders = ReturnType<typeof makeLoaders>

/** Loaders of one request: what many parents ask in the same tick becomes one statement, whatever their number. */
export function makeLoaders(context: ReadContext) {
  const jobs = new DataLoader((ids: readonly string[]) => batchJobs(context, ids))
  const jobsOf = (list: JobListName) => {
    return new DataLoader<PageKey, Connection<JobRow>, string>(
      async (keys) => {
        const pages = await batchJobPages(context, list, keys)
        return Promise.all(pages.map((page) => loadNodes(page, (id) => jobs.load(id))))
      },
      { cacheKeyFn: ({ parentId, first, after }) => JSON.stringify([parentId, first ?? null, after ?? null]) },
    )
  }
  return {
    jobs,
    inWork: new DataLoader((ids: readonly string[]) => batchInWork(context, ids)),
    jobsOfCampaign: jobsOf('campaign'),
    jobsOfMessage: jobsOf('message'),
    jobsOfTransactionalEmail: jobsOf('transactionalEmail'),
    checksOfDomain: jobsOf('domain'),
    checksOfSmtpIp: jobsOf('smtpIp'),
    checksOfVpsInstance: jobsOf('vpsInstance'),
    logs: new DataLoader((keys: readonly LogKey[]) => batchLogs(context, keys), {
      cacheKeyFn: ({ jobId, first }) => `${jobId} ${first}`,
    }),
    queues: new DataLoader((names: readonly string[]) => batchQueues(context, names)),
    queueCounts: new DataLoader((names: readonly string[]) => batchQueueCounts(context, names)),
    queueRates: new DataLoader((names: readonly string[]) => batchQueueRates(context, names)),
    burning: new DataLoader((alertIds: readonly string[]) => batchBurning(context, alertIds)),
    sendProgress: new DataLoader((ids: readonly string[]) => batchSendProgress(context, ids)),
  }
}
