import { z } from 'zod'

/** Who did what to which thing; becomes a row of the analytics tier's append-only, hash-chained log. */
export const auditPayload = z.object({
  adminUserId: z.string().nullish(),
  action: z.string().min(1),
  resourceType: z.string().min(1),
  resourceId: z.string().min(1),
  oldValues: z.record(z.string(), z.unknown()).nullish(),
  newValues: z.record(z.string(), z.unknown()).nullish(),
  ipAddress: z.string().nullish(),
  userAgent: z.string().nullish(),
  notes: z.string().nullish(),
})
export type AuditPayload = z.infer<typeof auditPayload>

/** The same, as a job carries it; `eventId` makes the record idempotent, `acceptedAt` is when it happened. */
export const auditJob = auditPayload.extend({
  eventId: z.uuid(),
  tenantId: z.uuid(),
  acceptedAt: z.iso.datetime(),
})
export type AuditJob = z.infer<typeof auditJob>
