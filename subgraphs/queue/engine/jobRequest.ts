import { z } from 'zod'

const MAX_PAYLOAD_BYTES = 1024 * 1024

// jsonb takes neither a NUL nor half a surrogate pair, and one such item would fail its whole batch.
// JSON.stringify escapes both, so an odd number of backslashes before them tells them from text about them.
const UNSTORABLE_TEXT = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/i

const text = (longest: number) =>
  z
    .string()
    .max(longest)
    .refine((value) => !value.includes('\0') && !/\p{Surrogate}/u.test(value), 'holds characters that cannot be stored')

/** One job as a producer asks for it. Parsed item by item: a bad one is rejected alone. */
export const jobRequest = z.object({
  tenantId: z.guid(),
  source: text(100).min(1),
  key: text(500).min(1),
  queueName: text(100).min(1),
  jobType: text(200).min(1),
  payload: z.record(z.string(), z.unknown()).superRefine((payload, context) => {
    const json = JSON.stringify(payload)
    if (Buffer.byteLength(json) > MAX_PAYLOAD_BYTES) {
      context.addIssue({ code: 'custom', message: `is larger than ${MAX_PAYLOAD_BYTES} bytes` })
    }
    if (UNSTORABLE_TEXT.test(json)) {
      context.addIssue({ code: 'custom', message: 'holds characters that cannot be stored' })
    }
  }),
  priority: z.number().int().min(1).max(32_767).nullish(),
  runAt: z.coerce.date().nullish(),
  maxAttempts: z.number().int().min(1).max(100).nullish(),
  correlationId: text(200).nullish(),
  userId: z.guid().nullish(),
  subjectTypename: text(100).nullish(),
  subjectId: text(500).nullish(),
  campaignId: z.guid().nullish(),
})
export type JobRequest = z.output<typeof jobRequest>

/** A problem in words a producer can read: the field, then what is wrong with it. */
export function describeProblem(error: z.ZodError): string {
  return error.issues
    .slice(0, 5)
    .map((issue) => [issue.path.join('.'), issue.message].filter(Boolean).join(': '))
    .join('; ')
}

/** When the producer accepted what the job is about, if its payload says so. */
export function acceptedAtOf(payload: Record<string, unknown>): string | null {
  const { acceptedAt } = payload
  return z.iso.datetime({ offset: true }).safeParse(acceptedAt).success ? String(acceptedAt) : null
}
