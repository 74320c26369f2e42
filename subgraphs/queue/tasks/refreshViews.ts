import { z } from 'zod'
import { defineTask } from './services.ts'

const REFRESH = 'mutation RefreshAnalyticsViews { refreshAnalyticsViews }'

/** Longer than the analytics tier lets it take, shorter than the queue lets a job run; milliseconds. */
const TIMEOUT_MS = 110_000

/** Has the analytics tier recompute its precomputed views. However many jobs wait for that, once is enough. */
export const refreshViews = defineTask({
  jobType: 'refreshViews',
  queueName: 'analytics-processing',
  payload: z.object({}),
  batch: { size: 100, lingerMs: 0 },
  concurrency: 1,
  async run(_items, { services }) {
    await services.analytics.request(REFRESH, {}, { timeoutMs: TIMEOUT_MS })
    return undefined
  },
})
