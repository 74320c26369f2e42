import { z } from 'zod'

export const EMAIL_EVENT_TYPES = [
  'sent',
  'delivered',
  'received',
  'opened',
  'clicked',
  'replied',
  'bounced',
  'unsubscribed',
  'complained',
] as const
export type EmailEventType = (typeof EMAIL_EVENT_TYPES)[number]

/**
 * What the producer tier puts on its outbox when something happens to a mail.
 * `localDay` is the day in the tenant's timezone at `occurredAt`, fixed by the producer: facts never move when a tenant moves.
 */
export const emailEventPayload = z.object({
  eventType: z.enum(EMAIL_EVENT_TYPES),
  occurredAt: z.iso.datetime(),
  localDay: z.iso.date(),
  campaignId: z.uuid().nullish(),
  stepId: z.uuid().nullish(),
  emailAccountId: z.uuid().nullish(),
  leadId: z.uuid().nullish(),
  messageId: z.uuid().nullish(),
  companyId: z.uuid().nullish(),
  domainId: z.uuid().nullish(),
  smtpIpAddressId: z.uuid().nullish(),
  openClass: z.enum(['human', 'proxy', 'prefetch', 'scanner']).nullish(),
  bounceType: z.enum(['hard', 'soft']).nullish(),
})
export type EmailEventPayload = z.infer<typeof emailEventPayload>

/** The same, as a job carries it: the relay adds whose event it is and when it was accepted. */
export const emailEventJob = emailEventPayload.extend({
  eventId: z.uuid(),
  tenantId: z.uuid(),
  acceptedAt: z.iso.datetime(),
})
export type EmailEventJob = z.infer<typeof emailEventJob>
