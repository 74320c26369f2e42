import { z } from 'zod'

/** Where hits are taken from by whoever records them. */
export const TRACKING_QUEUE = 'analytics-processing'
export const TRACKING_JOB_TYPE = 'recordTracking'

/** A request for something that only one mail's recipient was told of: its pixel, a link of it, its way to unsubscribe. */
export const trackingHit = z.object({
  /** UUIDv7. */
  hitId: z.uuid(),
  kind: z.enum(['open', 'click', 'unsubscribe']),
  messageId: z.guid(),
  /** By the business clock. */
  occurredAt: z.iso.datetime(),
  /** Of a click: the link's place in the mail. */
  linkIndex: z.number().int().min(0).max(65_535).nullish(),
  userAgent: z.string().nullish(),
  ip: z.string().nullish(),
  /** The request said itself that nobody looks yet. */
  isPrefetch: z.boolean().default(false),
})
export type TrackingHit = z.infer<typeof trackingHit>
