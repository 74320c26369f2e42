import { z } from 'zod'
import { defineTask } from './services.ts'

const SETTLE = 'mutation SettleDelivered { settleDelivered { hasMore } }'

/** Calls of one run: what is left after them has the next minute. */
const MOST_CALLS = 100

/** Has mail count as delivered that left a while ago and did not come back. */
export const settleDelivered = defineTask({
  jobType: 'settleDelivered',
  queueName: 'infrastructure-monitoring',
  payload: z.object({}),
  batch: { size: 100, lingerMs: 0 },
  concurrency: 1,
  async run(_items, { services, signal }) {
    type Answer = { settleDelivered: { hasMore: boolean } }
    for (let call = 0; call < MOST_CALLS && !signal.aborted; call += 1) {
      const { settleDelivered: done } = await services.oltp.request<Answer>(SETTLE, {}, { timeoutMs: 60_000 })
      if (!done.hasMore) break
    }
    return undefined
  },
})
