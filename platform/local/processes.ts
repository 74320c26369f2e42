import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** A process by more than its number: numbers are given out again, a number with its start time is not. */
export type ProcessIdentity = { pid: number; startedAt: string }

/** What runs under this number now: its command line and when it began (an opaque text), or null. */
export function findProcess(pid: number): (ProcessIdentity & { command: string }) | null {
  if (!Number.isInteger(pid) || pid <= 0) return null
  return process.platform === 'linux' ? findInProc(pid) : findWithPs(pid)
}

/** True while exactly this process runs, and not a later one of the same number. */
export function isRunning(identity: ProcessIdentity): boolean {
  return findProcess(identity.pid)?.startedAt === identity.startedAt
}

/** Sends each signal in turn, waiting `patienceMs` for the process to end before the next. Returns whether it ended. */
export async function endProcess(identity: ProcessIdentity, signals: NodeJS.Signals[], patienceMs: number) {
  for (const signal of signals) {
    if (!isRunning(identity)) return true
    try {
      process.kill(identity.pid, signal)
    } catch {
      return !isRunning(identity)
    }
    const deadline = Date.now() + patienceMs
    while (Date.now() < deadline && isRunning(identity)) await sleep(20)
  }
  return !isRunning(identity)
}

function findInProc(pid: number) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in brackets may hold anything, so fields are counted from the last bracket.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [state, startedAt] = [fields[0], fields[19]]
    if (state === 'Z' || startedAt === undefined) return null
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
    return { pid, startedAt, command }
  } catch {
    return null
  }
}

function findWithPs(pid: number) {
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=,command=', '-p', String(pid)], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
    // S+   Sat Nov 22 10:00:00 2026 command…
    const [, state, startedAt, command] = /^(\S+)\s+(\w+\s+\w+\s+\d+\s+\S+\s+\d+)\s+(.*)$/s.exec(line) ?? []
    if (!state || state.startsWith('Z') || !startedAt) return null
    return { pid, startedAt, command: command ?? '' }
  } catch {
    return null
  }
}
