import { z } from 'zod'
import { defineTask } from './services.ts'

const ANNOUNCE = 'mutation AnnounceDuePlans { announceDuePlans }'

/** Has the campaigns that are due to be planned announced, should nothing else have woken them. */
export const planCampaigns = defineTask({
  jobType: 'planCampaigns',
  queueName: 'infrastructure-monitoring',
  payload: z.object({}),
  batch: { size: 100, lingerMs: 0 },
  concurrency: 1,
  async run(_items, { services }) {
    await services.oltp.request(ANNOUNCE)
    return undefined
  },
})
