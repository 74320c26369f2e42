import { emailEventJob } from '#platform/contracts/emailEvent.ts'
import { defineTask, type ItemAnswer, outcomesByKey } from './services.ts'

const RECORD = `mutation RecordEmailEvents($events: [EmailEventInput!]!) {
  recordEmailEvents(events: $events) { eventId status error }
}`

type Answer = { recordEmailEvents: (ItemAnswer & { eventId: string })[] }

/** Counts what happened to mails in the analytics tier, which counts each event id once. */
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
    const answers = new Map(recordEmailEvents.map((answer) => [answer.eventId, answer]))
    return outcomesByKey(
      events.map(({ eventId }) => eventId),
      answers,
    )
  },
})
