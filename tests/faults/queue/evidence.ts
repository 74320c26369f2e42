import type { Execution, Pause } from './records.ts'
import type { FaultKind } from './schedule.ts'
import type { Fate } from './workload.ts'

/** A fault as it really happened. Times are milliseconds of the true wall clock. */
export type Happening =
  | { kind: 'killWorker'; pid: number; at: number }
  | { kind: 'stopWorker'; pid: number; from: number; to: number }
  | { kind: 'jumpClock'; pid: number; at: number }
  | { kind: 'flushRedis'; at: number }
  | { kind: 'killRedis'; from: number; to: number }
  /** From the moment it is shut down until it takes connections again. */
  | { kind: 'restartPostgres' | 'losePostgres'; from: number; to: number }

/** A job as the database has it when all is over. */
export type JobFact = {
  id: string
  status: string
  /** Lines in its log that say it was completed. */
  completions: number
  deadLetters: number
}

/** All that a run left behind; the verdict rests on nothing else. */
export type Evidence = {
  leaseMs: number
  /** How many jobs were asked for, and those that were promised, by id. */
  requested: number
  accepted: ReadonlyMap<string, Fate>
  jobs: readonly JobFact[]
  /** In the order in which they began. */
  executions: readonly Execution[]
  pauses: readonly Pause[]
  /** In the order of time. */
  happenings: readonly Happening[]
  planned: readonly FaultKind[]
  /** Workers that ended though nobody ended them, and whatever else went wrong with the run itself. */
  mishaps: readonly string[]
}

/** What one check found: violations as sentences, and numbers that say how much it had to go by. */
export type Finding = { violations: string[]; counts: Record<string, number> }

export function outagesOf({ happenings }: Evidence): { from: number; to: number }[] {
  return happenings.flatMap((one) => {
    return one.kind === 'restartPostgres' || one.kind === 'losePostgres' ? [{ from: one.from, to: one.to }] : []
  })
}

/** Executions by job, each list in the order in which they began. */
export function executionsByJob({ executions }: Evidence): Map<string, Execution[]> {
  const byJob = new Map<string, Execution[]>()
  for (const execution of executions) {
    const others = byJob.get(execution.jobId)
    if (others) others.push(execution)
    else byJob.set(execution.jobId, [execution])
  }
  return byJob
}
