import { z } from 'zod'
import { defineTask } from './services.ts'

const SETTLE = 'mutation SettleStuckMail { settleStuckMail }'

/** Has mail settled that began to leave and was not heard of again. */
export const settleStuckMail = defineTask({
  jobType: 'settleStuckMail',
  queueName: 'infrastructure-monitoring',
  payload: z.object({}),
  batch: { size: 100, lingerMs: 0 },
  concurrency: 1,
  async run(_items, { services }) {
    await services.oltp.request(SETTLE, {}, { timeoutMs: 60_000 })
    return undefined
  },
})
