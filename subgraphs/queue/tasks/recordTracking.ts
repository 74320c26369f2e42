import { TRACKING_JOB_TYPE, TRACKING_QUEUE, trackingHit } from '#platform/contracts/trackingHit.ts'
import type { ItemOutcome } from '../engine/task.ts'
import { defineTask } from './services.ts'

const RECORD = `mutation RecordTracking($hits: [TrackingHitInput!]!) {
  recordTracking(hits: $hits) { hitId status openClass }
}`

type Answer = { recordTracking: { hitId: string; status: string; openClass: string | null }[] }

/** Has the oltp tier write down who opened, followed or left: each once, judged by who seems to have asked. */
export const recordTracking = defineTask({
  jobType: TRACKING_JOB_TYPE,
  queueName: TRACKING_QUEUE,
  payload: trackingHit,
  // A scanner follows all links of a mail at once: judged together, they are seen for what they are.
  batch: { size: 500, lingerMs: 250 },
  concurrency: 2,
  async run(items, { services }) {
    const hits = items.map(({ job, payload: { kind, ...hit } }) => {
      return { ...hit, kind: kind.toUpperCase(), tenantId: job.tenantId }
    })
    const { recordTracking } = await services.oltp.request<Answer>(RECORD, { hits })
    const answers = new Map(recordTracking.map(({ hitId, ...answer }) => [hitId, answer]))
    return hits.map(({ hitId }): ItemOutcome => {
      const result = answers.get(hitId)
      if (result) return { kind: 'completed', result }
      return { kind: 'failed', error: new Error('the tier gave no answer for this item') }
    })
  },
})
