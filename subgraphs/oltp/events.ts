import { realTimeOf } from '#platform/clock.ts'
import { EMAIL_EVENT_TYPES, type EmailEventType } from '#platform/contracts/emailEvent.ts'
import { mailDuePayload, planDuePayload } from '#platform/contracts/sending.ts'
import type { OutboxRoutes } from '#platform/outbox/relay.ts'
import type { OutboxRoute } from '#platform/outbox/route.ts'

/** Name of an email event on the outbox: `email.sent`. */
export function emailEventName(eventType: EmailEventType): string {
  return `email.${eventType}`
}

const rollUp: OutboxRoute = { queueName: 'analytics-processing', jobType: 'rollUpEvents' }

/** Which job each event of this tier becomes. */
export const routes: OutboxRoutes = {
  ...Object.fromEntries(EMAIL_EVENT_TYPES.map((eventType) => [emailEventName(eventType), rollUp])),
  'audit.recorded': { queueName: 'analytics-processing', jobType: 'recordAudit' },
  // One plan at a time per campaign and time; what comes up meanwhile stands in the campaign's agenda.
  'campaign.planDue': {
    queueName: 'email-sending',
    jobType: 'planCampaign',
    describe(payload) {
      const { plannedCampaignId, planAt } = planDuePayload.parse(payload)
      const uniqueKey = `plan:${plannedCampaignId}`
      return planAt ? { uniqueKey: `${uniqueKey}:${planAt}`, runAt: realTimeOf(new Date(planAt)) } : { uniqueKey }
    },
  },
  'mail.due': {
    queueName: 'email-sending',
    jobType: 'sendMessage',
    describe(payload) {
      const { emailAccountId, scheduledAt } = mailDuePayload.parse(payload)
      return { runAt: realTimeOf(new Date(scheduledAt)), concurrencyKey: emailAccountId }
    },
  },
  'leadImport.requested': { queueName: 'content-archival', jobType: 'importLeads' },
  'leadExport.requested': { queueName: 'content-archival', jobType: 'exportLeads' },
  'notification.requested': { queueName: 'notification-delivery', jobType: 'deliverNotification' },
}
