import { type Evidence, executionsByJob, type Finding, type Happening, outagesOf } from './evidence.ts'
import { checkLedger } from './ledger.ts'
import { checkKilled, checkLiving } from './recovery.ts'
import type { FaultKind } from './schedule.ts'

/** `unproved`: planned faults that met with nothing, on a machine too busy for instance. Such a run decides nothing. */
export type Verdict = Finding & { unproved: string[]; passed: boolean }

/** The numbers without which a kind of fault proved nothing: each must be above zero if it was planned. */
const PROOF: Partial<Record<FaultKind, string>> = {
  killWorker: 'executions cut off by kill -9',
  stopWorker: 'late acknowledgements of stopped workers, rejected',
  jumpClock: 'executions under a clock that jumped',
  killRedis: 'executions begun without Redis',
  restartPostgres: 'executions through a brief outage',
}

/** Everything that is to be said about a run. Pure: the same evidence, the same verdict. */
export function judge(evidence: Evidence): Verdict {
  const findings = [
    checkLedger(evidence),
    checkCompletions(evidence),
    checkStopped(evidence),
    checkKilled(evidence),
    checkLiving(evidence),
    countOthers(evidence),
  ]
  const counts = Object.assign({}, ...findings.map((finding) => finding.counts)) as Finding['counts']
  const unproved = [...new Set(evidence.planned)].flatMap((kind) => {
    const needed = PROOF[kind]
    return needed && !counts[needed] ? [`${kind} proved nothing: ${needed}: 0`] : []
  })
  const violations = [...findings.flatMap((finding) => finding.violations), ...evidence.mishaps]
  return { violations, unproved, counts, passed: violations.length + unproved.length === 0 }
}

/**
 * Who was told that its job is done, or dead, was the last to run it, and the only one to be told so: no acknowledgement
 * is taken once the job was given to somebody else, and nothing is begun that is done.
 */
export function checkCompletions(evidence: Evidence): Finding {
  const violations: string[] = []
  let repeated = 0
  for (const [jobId, executions] of executionsByJob(evidence)) {
    if (executions.length > 1) repeated += 1
    const finalAt = executions.findIndex(({ settledAs }) => settledAs === 'completed' || settledAs === 'dead')
    if (finalAt < 0 || finalAt === executions.length - 1) continue
    const how = executions[finalAt]?.settledAs
    const others = executions.slice(finalAt + 1).map(({ pid, settledAs }) => `worker ${pid}: ${settledAs}`)
    violations.push(`job ${jobId} was ${how} by worker ${executions[finalAt]?.pid}, and run after that (${others})`)
  }
  return { violations, counts: { executions: evidence.executions.length, 'jobs run more than once': repeated } }
}

/**
 * What a stopped worker had in work and others took over meanwhile: its own late acknowledgement is answered `lost`, if
 * at all. (It is not heard of again when the worker was killed later, or has by then the same job under a new lease.)
 * One of an attempt that ended before may have been in time: only its answer had to wait.
 */
export function checkStopped({ happenings, executions }: Evidence): Finding {
  const violations: string[] = []
  let taken = 0
  let rejected = 0
  for (const stop of happenings) {
    if (stop.kind !== 'stopWorker') continue
    for (const execution of executions) {
      const { pid, jobId, startedAt, endedAt, settledAt, settledAs } = execution
      if (pid !== stop.pid || startedAt > stop.from || (settledAt ?? stop.to) < stop.to) continue
      if (settledAs === 'lost') rejected += 1
      const isLate = endedAt === null || endedAt >= stop.to
      const isTaken = executions.some((other) => {
        return other.jobId === jobId && other.startedAt > stop.from && other.startedAt < (settledAt ?? stop.to)
      })
      if (!isLate || !isTaken) continue
      taken += 1
      if (settledAs !== null && settledAs !== 'lost') {
        violations.push(
          `job ${jobId} was taken from worker ${pid} while it was stopped, which ended it all the same: ${settledAs}`,
        )
      }
    }
  }
  return {
    violations,
    counts: {
      'executions taken over from stopped workers': taken,
      'late acknowledgements of stopped workers, rejected': rejected,
    },
  }
}

/** How much went on in spite of the other faults. */
function countOthers(evidence: Evidence): Finding {
  const { happenings, executions } = evidence
  const firstAfterOutages = outagesOf(evidence).map(({ to }) => {
    return (executions.find(({ startedAt }) => startedAt >= to)?.startedAt ?? to) - to
  })
  const begunIn = (isIn: (at: number, pid: number, happening: Happening) => boolean) =>
    executions.filter(({ startedAt, pid }) => happenings.some((happening) => isIn(startedAt, pid, happening))).length
  return {
    violations: [],
    counts: {
      'executions begun without Redis': begunIn((at, _pid, one) => {
        return one.kind === 'killRedis' && at > one.from && at < one.to
      }),
      'executions under a clock that jumped': begunIn((at, pid, one) => {
        return one.kind === 'jumpClock' && one.pid === pid && at > one.at
      }),
      'slowest to begin anything after Postgres was back, ms': Math.max(0, ...firstAfterOutages),
    },
  }
}

/** What happened to the first jobs that the verdict complains of, in seconds of the run, to lay beside the schedule. */
export function describeHistory({ violations }: Finding, evidence: Evidence, startedAt: number): string[] {
  const SHOWN = 3
  const ids = violations.flatMap((violation) => /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(violation) ?? [])
  const byJob = executionsByJob(evidence)
  const seconds = (at: number | null) => (at === null ? '–' : ((at - startedAt) / 1_000).toFixed(3))
  return [...new Set(ids)].slice(0, SHOWN).flatMap((id) => [
    `job ${id}:`,
    ...(byJob.get(id) ?? []).map(({ pid, startedAt: began, endedAt, settledAt, settledAs }) => {
      return `  worker ${pid}  began ${seconds(began)}  ended ${seconds(endedAt)}  settled ${seconds(settledAt)} ${settledAs ?? ''}`
    }),
  ])
}

/** The verdict in words: what was found, in full up to a point, and on what grounds. */
export function describeVerdict({ passed, violations, unproved, counts }: Verdict): string {
  const SHOWN = 20
  const grounds = Object.entries(counts).map(([what, count]) => `${String(Math.round(count)).padStart(9)}  ${what}`)
  const found = violations.slice(0, SHOWN).map((violation) => `  ${violation}`)
  if (violations.length > SHOWN) found.push(`  … and ${violations.length - SHOWN} more`)
  const decision = passed ? 'PASSED' : violations.length > 0 ? `FAILED: ${violations.length} violations` : 'UNDECIDED'
  return [...grounds, '', decision, ...found, ...unproved.map((what) => `  ${what}`)].join('\n')
}
