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

/**
 * What becomes of a second job with the same unique key, in the same queue of the same tenant: `keep` the first and count
 * as a repeat, `replace` it while it waits (a job in work or done is not replaced), or `reject` the second.
 */
export const UNIQUE_POLICIES = ['keep', 'replace', 'reject'] as const

/** One job as a producer asks for it. Parsed item by item: a bad one is rejected alone. */
export const jobRequest = z.object({
  tenantId: z.guid(),
  /** With `key`: the receipt of this request, by which a repeat enqueues nothing, ever. Both or neither. */
  source: text(100).min(1).nullish(),
  key: text(500).min(1).nullish(),
  queueName: text(100).min(1),
  jobType: text(200).min(1),
  payload: z.record(z.string(), z.unknown()),
  priority: z.number().int().min(1).max(32_767).nullish(),
  runAt: z.coerce.date().nullish(),
  /** Runs so many milliseconds from now; `runAt` says when by the calendar. */
  delayMs: z
    .number()
    .int()
    .min(0)
    .max(366 * 86_400_000)
    .nullish(),
  /** Not worth running after. */
  expiresAt: z.coerce.date().nullish(),
  maxAttempts: z.number().int().min(1).max(100).nullish(),
  uniqueKey: text(500).min(1).nullish(),
  /** How long the unique key is held; until the job has ended, if not given. */
  uniqueForSeconds: z
    .number()
    .int()
    .min(1)
    .max(366 * 86_400)
    .nullish(),
  uniquePolicy: z.enum(UNIQUE_POLICIES).nullish(),
  /** What limits per key count by, such as a mailbox. */
  concurrencyKey: text(200).min(1).nullish(),
  correlationId: text(200).nullish(),
  userId: z.guid().nullish(),
  subjectTypename: text(100).nullish(),
  subjectId: text(500).nullish(),
  campaignId: z.guid().nullish(),
})
export type JobRequest = z.output<typeof jobRequest>

/**
 * The payload as it is stored.
 * @throws Error in a producer's words: too large, or with characters that cannot be stored
 */
export function renderPayload(payload: Record<string, unknown>): string {
  const json = JSON.stringify(payload)
  if (json.length > MAX_PAYLOAD_BYTES / 4 && Buffer.byteLength(json) > MAX_PAYLOAD_BYTES) {
    throw new Error(`payload: is larger than ${MAX_PAYLOAD_BYTES} bytes`)
  }
  if (json.includes('\\u') && UNSTORABLE_TEXT.test(json))
    throw new Error('payload: holds characters that cannot be stored')
  return json
}

/** A problem in words a producer can read: the field, then what is wrong with it. */
export function describeProblem(error: z.ZodError): string {
  return error.issues
    .slice(0, 5)
    .map((issue) => [issue.path.join('.'), issue.message].filter(Boolean).join(': '))
    .join('; ')
}

/** When the producer accepted what the job is about, if its payload says so. */
export function acceptedAtOf({ acceptedAt }: Record<string, unknown>): string | null {
  if (typeof acceptedAt !== 'string') return null
  return z.iso.datetime({ offset: true }).safeParse(acceptedAt).success ? acceptedAt : null
}
