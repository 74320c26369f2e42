import { z } from 'zod'
import { PLATFORM_TENANT } from '#platform/database/tenantScope.ts'
import { runSweep, type Sweep } from '../engine/sweep.ts'
import { defineTask, type PlatformTask } from './services.ts'

/** What an operation on many rows is told; who wants it and for which tenant, its job says. */
export function sweepPayload<Filter>(filter: z.ZodType<Filter>) {
  return z.object({ filter, notes: z.string().nullish() })
}

/**
 * A task that does one operation to all rows that fit a filter. Its result tells what was done and what was not, and why;
 * run twice, it goes on where it was. Work for people, not much of it: in the queue whose jobs may take longest.
 */
export function defineSweep<Filter extends { tenantId?: string | null | undefined }, Row>(
  jobType: string,
  filter: z.ZodType<Filter>,
  sweep: Sweep<Filter, Row>,
): PlatformTask {
  return defineTask({
    jobType,
    queueName: 'infrastructure-monitoring',
    payload: sweepPayload(filter),
    concurrency: 2,
    async run(items, { services, signal, report }) {
      const outcomes = []
      for (const { job, payload } of items) {
        const { tenantId, userId, correlationId } = job
        const isStaff = tenantId === PLATFORM_TENANT
        // The job's tenant counts, whatever its payload says.
        const own = isStaff ? payload.filter : { ...payload.filter, tenantId }
        const order = { filter: own, userId, correlationId, notes: payload.notes ?? null, isStaff }
        const result = await runSweep({
          ...{ sweep, order, job, signal, pool: services.queue.pool },
          onStep: ({ queueNames }, { matched, done, failed }) => {
            services.queue.announce(queueNames)
            report(job, (100 * (done + failed)) / Math.max(1, matched), `${done + failed} of ${matched}`)
          },
        })
        outcomes.push({ kind: 'completed' as const, result })
      }
      return outcomes
    },
  })
}
