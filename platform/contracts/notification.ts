import { z } from 'zod'

/** Asks the content tier to tell one user something. */
export const notificationPayload = z.object({
  userId: z.uuid(),
  type: z.string().min(1),
  title: z.string().min(1),
  message: z.string(),
  channel: z.enum(['in_app', 'email', 'push']).default('in_app'),
  priority: z.enum(['low', 'normal', 'high', 'urgent']).default('normal'),
  actionUrl: z.string().nullish(),
  metadata: z.record(z.string(), z.unknown()).default({}),
  expiresAt: z.iso.datetime().nullish(),
})
export type NotificationPayload = z.input<typeof notificationPayload>

/** The same, as a job carries it; `eventId` makes the delivery idempotent. */
export const notificationJob = notificationPayload.extend({
  eventId: z.uuid(),
  tenantId: z.uuid(),
  acceptedAt: z.iso.datetime(),
})
export type NotificationJob = z.infer<typeof notificationJob>
