import type { ReprioritizeJobsInput } from '#graphql/queue'
import { AppError } from '#platform/errors.ts'
import type { Context } from '../context.ts'
import { jobPriority, LOWEST_PRIORITY } from '../engine/prioritySweep.ts'
import { reprioritizeJobs as reprioritizeTask } from '../tasks/reprioritizeJobs.ts'
import { runBulk } from './bulk.ts'
import { readJobFilter } from './jobFilters.ts'
import { loadJobs } from './jobs.ts'
import { openWriter } from './writer.ts'

/** @throws AppError INVALID_INPUT */
export function checkPriority(priority: number): number {
  if (priority >= 1 && priority <= LOWEST_PRIORITY) return priority
  throw new AppError('INVALID_INPUT', `priority: must be between 1 and ${LOWEST_PRIORITY}, not ${priority}`)
}

/**
 * Moves waiting jobs up or down in their queues: up to 1000 at once, in one transaction, more by a job. Each tenant's audit
 * log is told.
 * @throws AppError FORBIDDEN; INVALID_INPUT for a priority there is not, or a status in which a job does not wait
 */
export async function reprioritizeJobs(context: Context, input: ReprioritizeJobsInput) {
  const { filter: given, dryRun, asJob } = input
  const writer = openWriter(context, 'owner', 'admin', 'manager')
  const target = checkPriority(input.priority)
  const other = (given.status ?? ['queued']).find((status) => status !== 'queued')
  if (other) throw new AppError('INVALID_INPUT', `filter.status: jobs that are ${other} do not wait`)
  if (given.status?.length === 0) throw new AppError('INVALID_INPUT', 'filter.status: names no status')
  const filter = { ...readJobFilter(writer.caller, writer.tenantId, given), target }
  const outcome = await runBulk(context, writer, {
    ...{ sweep: jobPriority, task: reprioritizeTask, filter, dryRun: dryRun ?? false, asJob: asJob ?? false },
  })
  const { tenantId } = writer
  const prisma = tenantId === null ? context.db.system : context.db.tenant
  const found = await loadJobs({ prisma, tenantId }, outcome.rows)
  return {
    ...{ dryRun: outcome.dryRun, matched: outcome.matched, reprioritized: outcome.ids.length },
    ...{ failures: outcome.failures, job: outcome.job },
    jobs: outcome.rows.flatMap(({ id }) => found.get(id) ?? []),
  }
}
