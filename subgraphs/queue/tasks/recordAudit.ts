import { auditJob } from '#platform/contracts/auditEntry.ts'
import { defineTask, type ItemAnswer, outcomesByKey } from './services.ts'

const RECORD = `mutation RecordAuditEntries($entries: [AuditEntryInput!]!) {
  recordAuditEntries(entries: $entries) { key status error }
}`

type Answer = { recordAuditEntries: (ItemAnswer & { key: string })[] }

/** Appends to the audit log in the analytics tier, which takes each key once. */
export const recordAudit = defineTask({
  jobType: 'recordAudit',
  queueName: 'analytics-processing',
  payload: auditJob,
  batch: { size: 100, lingerMs: 25 },
  // The log is a chain per tenant: two writers would only wait for each other.
  concurrency: 1,
  async run(items, { services }) {
    const entries = items.map(({ job, payload: { eventId, ...entry } }) => {
      return { ...entry, key: eventId, tenantId: job.tenantId }
    })
    const { recordAuditEntries } = await services.analytics.request<Answer>(RECORD, { entries })
    const answers = new Map(recordAuditEntries.map((answer) => [answer.key, answer]))
    return outcomesByKey(
      entries.map(({ key }) => key),
      answers,
    )
  },
})
