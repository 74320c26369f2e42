import { z } from 'zod'

/** What a job is given as its payload: the event's own, which event it was, whose, and when it was accepted (ISO 8601). */
export type EventPayload = Record<string, unknown> & { eventId: string; tenantId: string; acceptedAt: string }

/**
 * When and how one event's job runs, where that is not the same for all events of its type. Of a unique key the queue
 * keeps the first job or lets the later one replace it while it waits: a relay has nobody to tell that one was rejected.
 */
export type JobDescription = {
  runAt?: Date | null
  /** Counted from when the event was written, so that a relay that is late delays nothing twice. Not beside `runAt`. */
  delayMs?: number | null
  expiresAt?: Date | null
  priority?: number | null
  uniqueKey?: string | null
  uniquePolicy?: 'keep' | 'replace' | null
  uniqueForSeconds?: number | null
  concurrencyKey?: string | null
}

/** Which job an event becomes. */
export type OutboxRoute = {
  queueName: string
  jobType: string
  priority?: number
  /** Reads the rest from the event. An event for which it throws is parked with the error, as one the queue refuses is. */
  describe?: (payload: EventPayload) => JobDescription
}

const DAY_MS = 86_400_000

// What the queue would refuse is refused here first: on the way there JSON turns a date that is none into no date at all.
const jobDescription = z
  .strictObject({
    runAt: z.date().nullish(),
    delayMs: z
      .number()
      .min(0)
      .max(366 * DAY_MS)
      .nullish(),
    expiresAt: z.date().nullish(),
    priority: z.int().min(1).max(32_767).nullish(),
    uniqueKey: z.string().min(1).max(500).nullish(),
    uniquePolicy: z.enum(['keep', 'replace']).nullish(),
    uniqueForSeconds: z.int().min(1).nullish(),
    concurrencyKey: z.string().min(1).max(200).nullish(),
  })
  .refine(({ runAt, delayMs }) => runAt == null || delayMs == null, 'runAt and delayMs: either of them')

/**
 * What a route says about one event's job, the delay turned into a time: however often it is delivered, it says the same.
 * @throws Error in words for whoever wrote the route
 */
export function describeEvent(
  describe: NonNullable<OutboxRoute['describe']>,
  payload: EventPayload,
): Omit<JobDescription, 'delayMs'> {
  const parsed = jobDescription.safeParse(describe(payload))
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) =>
      [path.join('.'), message].filter(Boolean).join(': '),
    )
    throw new Error(`the route describes no job: ${problems.join('; ')}`)
  }
  const { delayMs, ...description } = parsed.data
  if (delayMs == null) return description
  return { ...description, runAt: new Date(Date.parse(payload.acceptedAt) + delayMs) }
}
