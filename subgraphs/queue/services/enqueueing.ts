import type { EnqueueJobInput } from '#graphql/queue'
import { requireService } from '#platform/caller/caller.ts'
import { AppError } from '#platform/errors.ts'
import type { Context } from '../context.ts'
import type { EnqueueResult } from '../engine/enqueue.ts'

const BATCH_LIMIT = 1_000

/**
 * Enqueues what another tier's relay delivers, and wakes the workers.
 * @throws AppError FORBIDDEN for anyone but a service, INVALID_INPUT for more than 1000 jobs
 */
export async function enqueueForService(context: Context, jobs: readonly EnqueueJobInput[]): Promise<EnqueueResult[]> {
  requireService(context.caller)
  if (jobs.length > BATCH_LIMIT) throw new AppError('INVALID_INPUT', `jobs: at most ${BATCH_LIMIT} a call`)
  return context.enqueuer.enqueueAll(jobs)
}
