import { type EmailEventJob, emailEventJob } from '#platform/contracts/emailEvent.ts'
import { groupBy } from '#platform/grouping.ts'
import { enqueueJobs } from '../engine/enqueue.ts'
import { projectionOf } from './projectCampaignMetrics.ts'
import { defineTask, type ItemAnswer, outcomesByKey } from './services.ts'

const RECORD = `mutation RecordEmailEvents($events: [EmailEventInput!]!) {
  recordEmailEvents(events: $events) { eventId status error }
}`

type Answer = { recordEmailEvents: (ItemAnswer & { eventId: string })[] }

/**
 * Counts what happened to mails in the analytics tier, which counts each event id once, and then has the campaigns'
 * figures written beside the campaigns. A repeat does both again, so neither is missed.
 */
export const rollUpEvents = defineTask({
  jobType: 'rollUpEvents',
  queueName: 'analytics-processing',
  payload: emailEventJob,
  batch: { size: 500, lingerMs: 25 },
  concurrency: 2,
  async run(items, { services }) {
    // The job's tenant counts, whatever its payload says.
    const events = items.map(({ job, payload }) => ({ ...payload, tenantId: job.tenantId }))
    const { recordEmailEvents } = await services.analytics.request<Answer>(RECORD, { events })
    await enqueueJobs(services.queue.pool, projectionsFor(events))
    const answers = new Map(recordEmailEvents.map((answer) => [answer.eventId, answer]))
    return outcomesByKey(
      events.map(({ eventId }) => eventId),
      answers,
    )
  },
})

function projectionsFor(events: readonly (EmailEventJob & { tenantId: string })[]) {
  const ofCampaigns = events.filter(({ campaignId }) => campaignId != null)
  return [...groupBy(ofCampaigns, ({ tenantId }) => tenantId)].map(([tenantId, own]) => {
    return projectionOf(tenantId, [...new Set(own.map(({ campaignId }) => campaignId as string))])
  })
}
