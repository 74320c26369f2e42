import type { EmailEventPayload, EmailEventType } from '#platform/contracts/emailEvent.ts'
import type { OutboxEventInput } from '#platform/outbox/append.ts'
import { emailEventName } from '../../events.ts'
import type { MessageRow } from '../rows.ts'
import { localDay } from './localDay.ts'

/** The mailbox of a message and what it belongs to. */
export type Mailbox = {
  id: string
  domainId: string
  companyId: string
  /** The address its domain sends from now. */
  smtpIpAddressId: string | null
}

/** What an event says of its message. */
export type EventMessage = Pick<MessageRow, 'tenantId' | 'id' | 'campaignId' | 'stepId' | 'leadId' | 'version'>

type EmailEventParts = {
  eventType: EmailEventType
  at: Date
  message: EventMessage
  mailbox: Mailbox
  timezone: string
  requestId: string
} & Pick<EmailEventPayload, 'openClass' | 'bounceType'>

/** What happened to a message, for the outbox. Its day is fixed here: facts don't move when a tenant moves. */
export function makeEmailEvent(parts: EmailEventParts): OutboxEventInput {
  const { eventType, at, message, mailbox, timezone, requestId, openClass, bounceType } = parts
  const payload: EmailEventPayload = {
    eventType,
    occurredAt: at.toISOString(),
    localDay: localDay(at, timezone),
    campaignId: message.campaignId,
    stepId: message.stepId,
    leadId: message.leadId,
    messageId: message.id,
    emailAccountId: mailbox.id,
    domainId: mailbox.domainId,
    companyId: mailbox.companyId,
    // Mail comes in through the mailbox's provider, not through our addresses.
    smtpIpAddressId: eventType === 'received' ? null : mailbox.smtpIpAddressId,
    ...(openClass && { openClass }),
    ...(bounceType && { bounceType }),
  }
  return {
    tenantId: message.tenantId,
    aggregateType: 'InboxMessageRef',
    aggregateId: message.id,
    aggregateVersion: message.version,
    eventType: emailEventName(eventType),
    correlationId: requestId,
    payload,
  }
}
