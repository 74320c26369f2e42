import { setTimeout as sleep } from 'node:timers/promises'
import { makeLog } from '#platform/log.ts'
import { makeWakeUp } from '../../../subgraphs/queue/engine/wakeUp.ts'
import { enqueueSteadily } from './enqueuer.ts'
import type { Evidence, JobFact } from './evidence.ts'
import { inflictAll } from './inflict.ts'
import { readRecords } from './records.ts'
import { type Fault, type FaultKind, makeSchedule, scheduleEndMs } from './schedule.ts'
import { describeHistory, judge, type Verdict } from './verdict.ts'
import { World } from './world.ts'

export type RunOptions = {
  seed: number
  jobs: number
  /** Only these faults of the seed's schedule, at their times: to find out which of them it takes. */
  only?: readonly FaultKind[] | undefined
  leaseMs?: number
  workers?: number
  /** Aborted, the run ends early, leaves nothing behind and rejects. */
  signal: AbortSignal
  report: (line: string) => void
}
export type RunResult = Verdict & { schedule: Fault[] }

const JOBS_PER_ROUND = 10_000
const DRAIN_MS = 90_000
const PROGRESS_EVERY_MS = 10_000

const COUNT_OPEN = `
  SELECT count(*)::int AS all, count(*) FILTER (WHERE status NOT IN ('completed', 'failed'))::int AS open FROM jobs`

const READ_JOBS = `
  SELECT j.id, j.status, coalesce(l.n, 0)::int AS completions, coalesce(d.n, 0)::int AS "deadLetters"
  FROM jobs j
  LEFT JOIN (SELECT job_id, count(*) AS n FROM job_logs WHERE message = 'completed' GROUP BY job_id) l ON l.job_id = j.id
  LEFT JOIN (SELECT job_id, count(*) AS n FROM dead_letter_jobs GROUP BY job_id) d ON d.job_id = j.id`

/** The faults of a seed: for many jobs every kind comes often, for few once. */
export function planRun({ seed, jobs, only, leaseMs = 1_500, workers = 4 }: Omit<RunOptions, 'signal' | 'report'>) {
  const rounds = Math.max(1, Math.round(jobs / JOBS_PER_ROUND))
  const schedule = makeSchedule(seed, { rounds, workers, leaseMs })
  // Jobs come for as long as faults do.
  const overMs = scheduleEndMs(schedule) + leaseMs
  return { schedule: schedule.filter(({ kind }) => !only || only.includes(kind)), overMs, leaseMs, workers }
}

/** Runs a seed's jobs through its faults, in processes of its own, and judges what came of it. */
export async function runFaults(options: RunOptions): Promise<RunResult> {
  const { seed, jobs, report } = options
  const { schedule, overMs, leaseMs, workers } = planRun(options)
  const world = await World.start({ workers, leaseMs })
  const trouble = new AbortController()
  const signal = AbortSignal.any([options.signal, trouble.signal])
  const wakeUp = makeWakeUp(world.redisUrl, makeLog('faults', 'silent'))
  const startedAt = Date.now()
  const progress = setInterval(() => void reportProgress(world, startedAt, report), PROGRESS_EVERY_MS)
  try {
    const parts = [
      inflictAll(world, schedule, { startedAt: performance.now(), signal, report }),
      enqueueSteadily(world.sql, { seed, jobs, overMs, wakeUp, signal }),
    ] as const
    for (const part of parts) part.catch((error) => trouble.abort(error))
    await Promise.allSettled(parts)
    signal.throwIfAborted()
    const [happenings, { accepted, repeats }] = await Promise.all(parts)
    await drain(world, signal)
    await world.crew.stop()
    const { rows } = await world.sql.query<JobFact>(READ_JOBS)
    const evidence: Evidence = {
      ...readRecords(world.recordsFolder),
      leaseMs,
      requested: jobs,
      accepted,
      jobs: rows,
      happenings,
      planned: schedule.map(({ kind }) => kind),
      mishaps: world.crew.deaths,
    }
    const verdict = judge(evidence)
    for (const line of describeHistory(verdict, evidence, startedAt)) report(line)
    return { ...verdict, counts: { ...verdict.counts, 'enqueued again, known already': repeats }, schedule }
  } finally {
    clearInterval(progress)
    wakeUp.close()
    await world.close()
  }
}

/** Waits until nothing is open, or so long that what is open is lost: the verdict will say so. */
async function drain(world: World, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + DRAIN_MS
  while (performance.now() < deadline) {
    const { rows } = await world.sql.query<{ open: number }>(COUNT_OPEN)
    if (rows[0]?.open === 0) return
    await sleep(300, undefined, { signal })
  }
}

async function reportProgress(world: World, startedAt: number, report: (line: string) => void): Promise<void> {
  const { rows } = await world.sql.query<{ all: number; open: number }>(COUNT_OPEN).catch(() => ({ rows: [] }))
  const seconds = `${((Date.now() - startedAt) / 1_000).toFixed(1).padStart(6)} s`
  const [jobs] = rows
  report(jobs ? `${seconds}  ${jobs.all} jobs asked for, ${jobs.open} of them open` : `${seconds}  no database`)
}
