import { type Evidence, executionsByJob, type Finding, outagesOf } from './evidence.ts'
import type { Execution } from './records.ts'

/** From the end of a dead worker's lease until its jobs run elsewhere, at most. */
export const RECOVERY_MS = 3_000

/** What the engine's reaper gives the living after an outage: two heartbeats, which come three to a lease. */
export function graceMs(leaseMs: number): number {
  return (leaseMs * 2) / 3
}

/**
 * What ran on a worker when it was killed runs again within RECOVERY_MS of the end of its lease, which was renewed at
 * the moment of death at the latest. Where Postgres was away in between, that time begins when it was back and the
 * reaper's grace was over.
 */
export function checkKilled(evidence: Evidence): Finding {
  const { happenings, executions, leaseMs } = evidence
  const byJob = executionsByJob(evidence)
  const violations: string[] = []
  let interrupted = 0
  let slowest = 0
  for (const kill of happenings) {
    if (kill.kind !== 'killWorker') continue
    const leaseEndAt = leaseEnd(kill.at, evidence)
    for (const execution of executions) {
      if (execution.pid !== kill.pid || execution.settledAt !== null || execution.startedAt > kill.at) continue
      const [next] = after(execution, byJob)
      // Its lease was lost before it was killed: somebody else's job by then.
      if (next && next.startedAt <= kill.at) continue
      // It had done its work: whether the acknowledgement got through, the ledger knows.
      if (!next && execution.endedAt !== null) continue
      interrupted += 1
      const lateMs = next ? next.startedAt - leaseEndAt : Number.POSITIVE_INFINITY
      slowest = Math.max(slowest, lateMs)
      if (lateMs > RECOVERY_MS) {
        violations.push(
          `job ${execution.jobId} was interrupted when worker ${kill.pid} was killed and ran again ` +
            `${next ? `${lateMs} ms after its lease was over` : 'never'} (a lease is ${leaseMs} ms)`,
        )
      }
    }
  }
  return {
    violations,
    counts: { 'executions cut off by kill -9': interrupted, 'slowest to run again, ms after its lease': slowest },
  }
}

/** When a worker's leases are over that died at this moment. */
function leaseEnd(diedAt: number, evidence: Evidence): number {
  let endAt = diedAt + evidence.leaseMs
  for (const { from, to } of outagesOf(evidence)) {
    if (to > diedAt && from < endAt + RECOVERY_MS) endAt = Math.max(endAt, to + graceMs(evidence.leaseMs))
  }
  return endAt
}

/**
 * A claim does not wait for the disk: a crash so soon after it may have forgotten it, and the job runs again. The longest
 * that PostgreSQL takes is three times its wal_writer_delay of 200 ms.
 */
const CLAIM_UNWRITTEN_MS = 600

/**
 * An outage of Postgres shorter than a lease costs no living worker its attempt: what was running when it began, or
 * began before it was over, is run by nobody else. Living is who was neither killed nor stood still for a heartbeat, from
 * one lease before until one lease after, or until the job was settled if that took longer. A job that is to fail its
 * attempt is meant to run again, and one whose claim a crash may have forgotten is allowed to.
 */
export function checkLiving(evidence: Evidence): Finding {
  const { executions, leaseMs } = evidence
  const byJob = executionsByJob(evidence)
  const outages = outagesOf(evidence)
  const brief = outages.filter(({ from, to }) => to - from < leaseMs)
  const long = outages.filter(({ from, to }) => to - from >= leaseMs)
  const violations: string[] = []
  let lived = 0
  let repeated = 0
  let forgotten = 0
  for (const execution of executions) {
    if (execution.failed) continue
    const { startedAt, settledAt, jobId, pid } = execution
    const [next] = after(execution, byJob)
    // Whatever comes after that took nothing from it any more.
    const overAt = Math.min(settledAt ?? Number.POSITIVE_INFINITY, next?.startedAt ?? Number.POSITIVE_INFINITY)
    const isThrough = ({ from, to }: { from: number; to: number }) => startedAt < to && from < overAt
    const isAlive = (outage: { from: number; to: number }) => {
      const livedTo = Math.max(outage.to + leaseMs, settledAt ?? next?.startedAt ?? Number.POSITIVE_INFINITY)
      return isLiving(pid, Math.min(startedAt, outage.from) - leaseMs, livedTo, evidence)
    }
    const longer = long.filter(isThrough)
    if (longer.length > 0) {
      // Allowed, and nobody can tell what a brief outage beside it would have cost.
      if (next && longer.every(isAlive)) repeated += 1
      continue
    }
    for (const outage of brief.filter(isThrough)) {
      if (!isAlive(outage)) continue
      lived += 1
      if (!next) continue
      if (outage.from - startedAt < CLAIM_UNWRITTEN_MS) {
        forgotten += 1
        continue
      }
      violations.push(
        `job ${jobId} ran on worker ${pid}, which lived through an outage, and was run again all the same`,
      )
    }
  }
  return {
    violations,
    counts: {
      'executions through a brief outage': lived,
      'repeated after a long outage though the worker lived': repeated,
      'repeated after a crash that came too soon after the claim': forgotten,
    },
  }
}

function isLiving(pid: number, from: number, to: number, { happenings, pauses, leaseMs }: Evidence): boolean {
  const killed = happenings.some(
    (one) => one.kind === 'killWorker' && one.pid === pid && one.at >= from && one.at <= to,
  )
  const stood = pauses.some(
    (one) => one.pid === pid && one.from <= to && one.to >= from && one.to - one.from > leaseMs / 3,
  )
  return !killed && !stood
}

function after(execution: Execution, byJob: Map<string, Execution[]>): Execution[] {
  const all = byJob.get(execution.jobId) ?? []
  return all.slice(all.indexOf(execution) + 1)
}
