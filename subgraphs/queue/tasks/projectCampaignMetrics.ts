import { z } from 'zod'
import { groupBy } from '#platform/grouping.ts'
import type { JobRequest } from '../engine/jobRequest.ts'
import { defineTask } from './services.ts'

const FIGURES = `query CampaignFigures($campaignIds: [ID!]!) { campaignFigures(campaignIds: $campaignIds) {
  campaignId version sent delivered opened clicked replied bounced unsubscribed complained asOf } }`
const PROJECT = `mutation ProjectCampaignMetrics($figures: [CampaignFiguresInput!]!) {
  projectCampaignMetrics(figures: $figures) }`

type Figures = { campaignFigures: { campaignId: string }[] }

const JOB_TYPE = 'projectCampaignMetrics'
const QUEUE = 'analytics-processing'
const CAMPAIGNS_AT_ONCE = 500
/** Campaigns' figures are written once in it, however many events there are. */
const SPAN_MS = 1_000

/** Keeps campaigns' figures beside the campaigns: asks the tier that counts, tells the tier that lists. */
export const projectCampaignMetrics = defineTask({
  jobType: JOB_TYPE,
  queueName: QUEUE,
  payload: z.object({ campaignIds: z.array(z.guid()) }),
  batch: { size: 500, lingerMs: 25 },
  concurrency: 1,
  async run(items, { services: { analytics, oltp } }) {
    for (const [tenantId, own] of groupBy(items, ({ job }) => job.tenantId)) {
      const ids = [...new Set(own.flatMap(({ payload }) => payload.campaignIds))]
      for (let from = 0; from < ids.length; from += CAMPAIGNS_AT_ONCE) {
        const campaignIds = ids.slice(from, from + CAMPAIGNS_AT_ONCE)
        const { campaignFigures } = await analytics.request<Figures>(FIGURES, { campaignIds }, { tenantId })
        if (campaignFigures.length > 0) await oltp.request(PROJECT, { figures: campaignFigures }, { tenantId })
      }
    }
    return undefined
  },
})

/** A job that writes these campaigns' figures at the end of the second that it is: those of one second run together. */
export function projectionOf(
  tenantId: string,
  campaignIds: readonly string[],
  nowMs = Date.now(),
): Partial<JobRequest> {
  const runAt = new Date((Math.floor(nowMs / SPAN_MS) + 1) * SPAN_MS)
  return { tenantId, queueName: QUEUE, jobType: JOB_TYPE, payload: { campaignIds }, runAt }
}
