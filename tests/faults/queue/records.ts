import { openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import path from 'node:path'
import type { SettledAs } from '../../../subgraphs/queue/engine/settler.ts'

/** One attempt at one job, as the worker that made it wrote it down. Times are milliseconds of the true wall clock. */
export type Execution = {
  jobId: string
  leaseId: string
  pid: number
  startedAt: number
  /** When the task was through, and whether it failed as it was meant to. Null if it never came to that. */
  endedAt: number | null
  failed: boolean
  /** When the worker knew what had become of its acknowledgement, and what. */
  settledAt: number | null
  settledAs: SettledAs | null
}

/** A time in which a worker's process did not run, as it noticed itself afterwards. */
export type Pause = { pid: number; from: number; to: number }

export type Held = { id: string; leaseId: string }
type Line =
  | { what: 'started'; at: number; jobs: Held[] }
  | { what: 'ended'; at: number; jobs: (Held & { failed: boolean })[] }
  | { what: 'settled'; at: number; job: Held; as: SettledAs }
  | { what: 'paused'; from: number; to: number }

/**
 * Where a worker writes down what it does, one file each. Written at once and past all buffers of the process: kill -9
 * must not erase what the worker had begun.
 */
export function openRecords(folder: string, pid: number): (line: Line) => void {
  const file = openSync(path.join(folder, `${pid}.jsonl`), 'a')
  return (line) => void writeSync(file, `${JSON.stringify(line)}\n`)
}

/** What all workers wrote down, executions in the order in which they began. */
export function readRecords(folder: string): { executions: Execution[]; pauses: Pause[] } {
  const executions: Execution[] = []
  const pauses: Pause[] = []
  for (const name of readdirSync(folder)) {
    const pid = Number(path.basename(name, '.jsonl'))
    const own = new Map<string, Execution>()
    const find = ({ id, leaseId }: Held) => own.get(`${id} ${leaseId}`)
    for (const line of readLines(path.join(folder, name))) {
      if (line.what === 'paused') pauses.push({ pid, from: line.from, to: line.to })
      if (line.what === 'started') {
        for (const { id, leaseId } of line.jobs) {
          own.set(`${id} ${leaseId}`, begin({ jobId: id, leaseId, pid, startedAt: line.at }))
        }
      }
      if (line.what === 'ended') {
        for (const job of line.jobs) Object.assign(find(job) ?? {}, { endedAt: line.at, failed: job.failed })
      }
      if (line.what === 'settled') Object.assign(find(line.job) ?? {}, { settledAt: line.at, settledAs: line.as })
    }
    executions.push(...own.values())
  }
  return { executions: executions.sort((a, b) => a.startedAt - b.startedAt), pauses }
}

function begin(facts: Pick<Execution, 'jobId' | 'leaseId' | 'pid' | 'startedAt'>): Execution {
  return { ...facts, endedAt: null, failed: false, settledAt: null, settledAs: null }
}

function readLines(file: string): Line[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  // After the last newline is nothing, or half a line of a worker that was killed while writing it.
  return lines.slice(0, -1).map((line) => JSON.parse(line))
}
