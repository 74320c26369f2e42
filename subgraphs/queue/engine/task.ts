import type { z } from 'zod'
import type { Log } from '#platform/log.ts'
import type { ClaimedJob } from './job.ts'

/** A job whose payload has been parsed. */
export type TaskItem<Payload> = { job: ClaimedJob; payload: Payload }

export type TaskContext<Services> = {
  services: Services
  /** Aborted when the time is up, the lease is lost, a person stops the job or the worker must stop. */
  readonly signal: AbortSignal
  readonly log: Log
  /** Shows how far a job is: percentage 0 to 100, and in words what it is at. Written now and then, not at each call. */
  report: (job: ClaimedJob, percentage: number, message?: string) => void
}

/** What became of one item of a batch. `error` decides as if it had been thrown for that job alone. */
export type ItemOutcome = { kind: 'completed'; result?: unknown } | { kind: 'failed'; error: unknown }

/**
 * What a job type does. `run` gets a whole batch and answers for each item, in order; with no answer (undefined) all
 * are completed. It throws to have the whole batch tried again, PermanentFailure to give it up, RetryLater to say when,
 * and AppError UNAVAILABLE when another tier does not answer: that costs time but no attempt.
 * Runs at least once: its effects must bear repetition.
 */
export type Task<Services, Payload = unknown> = {
  jobType: string
  queueName: string
  /** Parses the payload; what does not parse becomes a dead letter at once. */
  payload: z.ZodType<Payload>
  /** At most `size` jobs a call, waiting up to `lingerMs` for a batch to fill. One job a call unless given. */
  batch?: { size: number; lingerMs: number }
  /** Calls at once in one worker; 10 unless given. */
  concurrency?: number
  run: (
    items: readonly TaskItem<Payload>[],
    context: TaskContext<Services>,
  ) => Promise<readonly ItemOutcome[] | undefined>
}

/** A task whatever its payload, as the worker keeps it. */
// biome-ignore lint/suspicious/noExplicitAny: run takes what its own payload schema put out
export type AnyTask<Services> = Task<Services, any>
