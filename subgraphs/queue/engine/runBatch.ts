import { AppError } from '#platform/errors.ts'
import { type Log, logForJob } from '#platform/log.ts'
import { type Attempts, Stopped } from './attempts.ts'
import { describeFailure } from './failure.ts'
import type { ClaimedJob } from './job.ts'
import type { Settlement } from './settler.ts'
import type { AnyTask, ItemOutcome, TaskItem } from './task.ts'

export type RunOptions<Services> = {
  log: Log
  attempts: Attempts<Services>
  /** Jobs somebody wants stopped. */
  isCancelled: (jobId: string) => boolean
}

/** A tier that is away is asked again after half a second, later every thirty. */
const SHORTEST_POSTPONEMENT_MS = 500
const LONGEST_POSTPONEMENT_MS = 30_000

/** Runs a task over a batch and says what is to be written about each job. Never throws. */
export async function runBatch<Services>(
  task: AnyTask<Services>,
  items: readonly TaskItem<unknown>[],
  { log, attempts, isCancelled }: RunOptions<Services>,
): Promise<Settlement[]> {
  const attempt = attempts.begin(items)
  let outcomes: readonly ItemOutcome[] | undefined
  let failure: unknown
  try {
    outcomes = await attempt.result(task.run(items, attempt))
  } catch (error) {
    if (isUnavailable(error)) log.warn({ err: error, jobType: task.jobType, jobs: items.length }, 'jobs postponed')
    failure = error ?? new Error('the task failed without a reason')
  }
  attempts.finish(attempt)
  const durationMs = Math.round(performance.now() - attempt.startedAt)
  return items.map(({ job }, index) => {
    const outcome = outcomeOf(outcomes, failure, index)
    if (outcome.kind === 'completed') {
      const { id, leaseId, position, waitMs } = job
      return { kind: 'completed', job: { id, leaseId, position, waitMs, durationMs, result: outcome.result } }
    }
    if (outcome.error instanceof Stopped) {
      if (isCancelled(job.id)) return { kind: 'cancelled', job: timed(job, durationMs) }
      return { kind: 'postponed', job: { ...held(job), delayMs: 0 } }
    }
    return settleFailure(job, outcome.error, { durationMs, isAlone: items.length === 1, log })
  })
}

function outcomeOf(outcomes: readonly ItemOutcome[] | undefined, failure: unknown, index: number): ItemOutcome {
  if (failure !== undefined) return { kind: 'failed', error: failure }
  if (outcomes === undefined) return { kind: 'completed' }
  return outcomes[index] ?? { kind: 'failed', error: new Error('the task gave no answer for this job') }
}

/** What is to be written about a job that failed before its task was even called. */
export function settleFailure(
  job: ClaimedJob,
  error: unknown,
  { durationMs, isAlone, log }: { durationMs: number; isAlone: boolean; log: Log },
): Settlement {
  if (isUnavailable(error)) {
    return { kind: 'postponed', job: { ...held(job), delayMs: postponementMs(job), reason: error.message } }
  }
  const facts = describeFailure(error)
  // Refused as it is, and nobody else in the call could have been meant.
  const permanent = facts.permanent || (isAlone && error instanceof AppError && error.code === 'INVALID_INPUT')
  const jobLog = logForJob(log, job)
  const dead = permanent || job.attempt >= job.maxAttempts
  jobLog[dead ? 'error' : 'warn']({ err: error, jobType: job.jobType, attempt: job.attempt }, 'job failed')
  return { kind: 'failed', job: { ...timed(job, durationMs), ...facts, permanent } }
}

function isUnavailable(error: unknown): error is AppError {
  return error instanceof AppError && error.code === 'UNAVAILABLE'
}

/** Nobody counts how often a job was put off, so it waits a quarter of the time it has waited already. */
function postponementMs(job: ClaimedJob): number {
  const waitedMs = Date.now() - job.queuedAtMs
  const delay = Math.min(LONGEST_POSTPONEMENT_MS, Math.max(SHORTEST_POSTPONEMENT_MS, waitedMs / 4))
  return delay * (0.75 + Math.random() / 2)
}

function held({ id, leaseId, position }: ClaimedJob) {
  return { id, leaseId, position }
}

function timed({ id, leaseId, position, waitMs }: ClaimedJob, durationMs: number) {
  return { id, leaseId, position, waitMs, durationMs }
}
