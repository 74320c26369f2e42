import { type EmailEventJob, emailEventJob } from '#platform/contracts/emailEvent.ts'
import type { TenantPool } from '#platform/database/tenantPool.ts'
import { type Outcome, recordOnce } from './recordOnce.ts'

/** The whole of it is one statement, so one round trip and one transaction: prisma/analytics/migrations says how. */
const RECORD = 'SELECT record_email_events($1::json) AS id'

/**
 * Counts mail events of any tenants, each once for ever: an id that was counted before changes nothing, whatever else is
 * told under it. Per tenant one transaction: receipts, events, first opens and clicks, daily facts.
 * Of a mail's opens only the first one recorded counts, of several in one batch the earliest; likewise of its clicks.
 * Every reply counts, as does every bounce.
 * @throws AppError LIMIT_REACHED for more than 1000 events
 */
export function recordEmailEvents(
  sql: TenantPool,
  events: readonly (object & { eventId: string })[],
): Promise<Outcome[]> {
  return recordOnce<EmailEventJob>(events, {
    schema: emailEventJob,
    write: async (items) => {
      const { rows } = await sql.query<{ id: string }>(RECORD, [JSON.stringify(items.map(toRow))])
      return new Set(rows.map(({ id }) => id))
    },
  })
}

function toRow(event: EmailEventJob) {
  return {
    event_id: event.eventId,
    event_type: event.eventType,
    occurred_at: event.occurredAt,
    local_day: event.localDay,
    campaign_id: event.campaignId,
    step_id: event.stepId,
    email_account_id: event.emailAccountId,
    lead_id: event.leadId,
    message_id: event.messageId,
    company_id: event.companyId,
    domain_id: event.domainId,
    smtp_ip_address_id: event.smtpIpAddressId,
    open_class: event.openClass,
    bounce_type: event.bounceType,
    accepted_at: event.acceptedAt,
  }
}
