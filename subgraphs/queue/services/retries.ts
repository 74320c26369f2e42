import type { RetryJobsInput } from '#graphql/queue'
import { AppError } from '#platform/errors.ts'
import type { Context } from '../context.ts'
import { ENDED_BADLY, type EndedBadly } from '../engine/jobFilter.ts'
import { jobRetry } from '../engine/retrySweep.ts'
import { retryJobs as retryTask } from '../tasks/retryJobs.ts'
import { runBulk } from './bulk.ts'
import { readJobFilter } from './jobFilters.ts'
import { loadJobs } from './jobs.ts'
import { openWriter } from './writer.ts'

/** What a person cancelled runs again only if a person says so. */
const UNLESS_NAMED: readonly EndedBadly[] = ['failed', 'expired']

/**
 * Runs jobs again that failed or expired, or were cancelled if the filter names that status: up to 1000 at once, in one
 * transaction, more by a job. Each tenant's audit log is told.
 * @throws AppError FORBIDDEN; INVALID_INPUT for a status from which nothing can be retried
 */
export async function retryJobs(context: Context, { filter: given, dryRun, asJob }: RetryJobsInput) {
  const writer = openWriter(context, 'owner', 'admin', 'manager')
  const statuses = (given.status ?? UNLESS_NAMED).map((status): EndedBadly => {
    const ended = ENDED_BADLY.find((name) => name === status)
    if (!ended) throw new AppError('INVALID_INPUT', `filter.status: jobs that are ${status} are not retried`)
    return ended
  })
  if (statuses.length === 0) throw new AppError('INVALID_INPUT', 'filter.status: names no status')
  const filter = { ...readJobFilter(writer.caller, writer.tenantId, given), statuses }
  const outcome = await runBulk(context, writer, {
    ...{ sweep: jobRetry, task: retryTask, filter, dryRun: dryRun ?? false, asJob: asJob ?? false },
  })
  const { tenantId } = writer
  const prisma = tenantId === null ? context.db.system : context.db.tenant
  const found = await loadJobs({ prisma, tenantId }, outcome.rows)
  return {
    ...{ dryRun: outcome.dryRun, matched: outcome.matched, retried: outcome.ids.length },
    ...{ failures: outcome.failures, job: outcome.job },
    jobs: outcome.rows.flatMap(({ id }) => found.get(id) ?? []),
  }
}
