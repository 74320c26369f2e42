import { z } from 'zod'

/** What the job is told that reads a file of leads. */
export const leadImportPayload = z.object({
  leadImportId: z.uuid(),
  /** Whether leads that are there already take what the file says. */
  updateExisting: z.boolean(),
  /** Who is told when it has ended. */
  requestedBy: z.uuid().nullable(),
})
export type LeadImportPayload = z.infer<typeof leadImportPayload>

/** What the job is told that writes leads to a file. */
export const leadExportPayload = z.object({
  leadExportId: z.uuid(),
  requestedBy: z.uuid().nullable(),
})
export type LeadExportPayload = z.infer<typeof leadExportPayload>
