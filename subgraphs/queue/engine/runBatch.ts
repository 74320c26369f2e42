import { AppError } from '#platform/errors.ts'
import { type Log, logForJob } from '#platform/log.ts'
import { describeFailure } from './failure.ts'
import type { ClaimedJob } from './job.ts'
import type { Settlement } from './settler.ts'
import type { AnyTask, ItemOutcome, TaskItem } from './task.ts'

export type RunOptions<Services> = {
  services: Services
  log: Log
  /** Aborted when the leases of these jobs are lost: their outcome interests nobody any more. */
  lost: AbortSignal
  /** Aborted when the worker's time to drain is over. */
  stop: AbortSignal
}

/** A tier that is away is asked again after half a second, later every thirty. */
const SHORTEST_POSTPONEMENT_MS = 500
const LONGEST_POSTPONEMENT_MS = 30_000

/** Runs a task over a batch and says what is to be written about each job. Never throws. */
export async function runBatch<Services>(
  task: AnyTask<Services>,
  items: readonly TaskItem<unknown>[],
  { services, log, lost, stop }: RunOptions<Services>,
): Promise<Settlement[]> {
  const startedAt = performance.now()
  const timeoutMs = Math.min(...items.map(({ job }) => job.timeoutMs))
  const end = endWhen({ timeoutMs, lost, stop })
  const [first] = items
  const taskLog = items.length === 1 && first ? logForJob(log, first.job) : log.child({ jobType: task.jobType })
  let outcomes: readonly ItemOutcome[]
  try {
    end.signal.throwIfAborted()
    const work = task.run(items, { services, signal: end.signal, log: taskLog })
    const answer = await Promise.race([work, end.aborted])
    outcomes = answer ?? items.map(() => ({ kind: 'completed' }))
  } catch (error) {
    if (isUnavailable(error)) log.warn({ err: error, jobType: task.jobType, jobs: items.length }, 'jobs postponed')
    outcomes = items.map(() => ({ kind: 'failed', error }))
  } finally {
    end.release()
  }
  const durationMs = Math.round(performance.now() - startedAt)
  return items.map(({ job }, position) => {
    const outcome = outcomes[position] ?? { kind: 'failed', error: new Error('the task gave no answer for this job') }
    if (outcome.kind === 'completed') {
      return { kind: 'completed', job: { ...held(job), result: outcome.result, durationMs } }
    }
    if (stop.aborted || lost.aborted) return { kind: 'postponed', job: { ...held(job), delayMs: 0 } }
    return settleFailure(job, outcome.error, { durationMs, isAlone: items.length === 1, log })
  })
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
  return { kind: 'failed', job: { ...held(job), ...facts, permanent, durationMs } }
}

function isUnavailable(error: unknown): error is AppError {
  return error instanceof AppError && error.code === 'UNAVAILABLE'
}

/** Nobody counts how often a job was put off, so it waits a quarter of the time it has waited already. */
function postponementMs(job: ClaimedJob): number {
  const waitedMs = Date.now() - job.queuedAt.getTime()
  const delay = Math.min(LONGEST_POSTPONEMENT_MS, Math.max(SHORTEST_POSTPONEMENT_MS, waitedMs / 4))
  return delay * (0.75 + Math.random() / 2)
}

/**
 * One signal of three, and a promise that rejects with it, whether or not the task listens. By hand and released after
 * use: AbortSignal.any would leave something behind on the long-lived stop signal for every batch.
 */
function endWhen({ timeoutMs, lost, stop }: { timeoutMs: number; lost: AbortSignal; stop: AbortSignal }) {
  const controller = new AbortController()
  const onTimeout = () => controller.abort(new Error(`took longer than ${timeoutMs / 1000} s`))
  const onLost = () => controller.abort(lost.reason)
  const onStop = () => controller.abort(stop.reason)
  const timer = setTimeout(onTimeout, timeoutMs)
  lost.addEventListener('abort', onLost)
  stop.addEventListener('abort', onStop)
  if (lost.aborted) onLost()
  if (stop.aborted) onStop()
  const { signal } = controller
  const aborted = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
  aborted.catch(() => {})
  const release = () => {
    clearTimeout(timer)
    lost.removeEventListener('abort', onLost)
    stop.removeEventListener('abort', onStop)
  }
  return { signal, aborted, release }
}

function held({ id, tenantId, leaseId }: ClaimedJob) {
  return { id, tenantId, leaseId }
}
