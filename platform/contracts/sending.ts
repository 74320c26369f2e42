import { z } from 'zod'

/**
 * A campaign has something to plan, at `planAt` by the business clock, or at once. Not called campaignId: what has one
 * counts as a campaign's mail in the queue.
 */
export const planDuePayload = z.object({ plannedCampaignId: z.uuid(), planAt: z.iso.datetime().nullish() })

/** A mail is to leave at `scheduledAt`, by the business clock, from this mailbox. */
export const mailDuePayload = z.object({
  messageId: z.uuid(),
  campaignId: z.uuid().nullish(),
  emailAccountId: z.uuid(),
  scheduledAt: z.iso.datetime(),
})
