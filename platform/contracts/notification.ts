import { z } from 'zod'
import { PLATFORM_TENANT } from '#platform/database/tenantScope.ts'

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

/**
 * Whom to notify of what concerns the people who run the platform. They are known by their tokens and have no rows of
 * their own: they share one inbox, under the tenant that no token can name.
 */
export const STAFF_INBOX = { tenantId: PLATFORM_TENANT, userId: '00000000-0000-0000-0000-000000000000' } as const

/** The same, as a job carries it; `eventId` makes the delivery idempotent. */
export const notificationJob = notificationPayload.extend({
  eventId: z.uuid(),
  tenantId: z.uuid(),
  acceptedAt: z.iso.datetime(),
})
export type NotificationJob = z.infer<typeof notificationJob>
