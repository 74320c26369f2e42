import { readdirSync, readFileSync } from 'node:fs'

/** The kernel counts in ticks of 10 ms, whatever its own clock does. */
const MS_PER_TICK = 10

type Times = { parent: number; ownMs: number; endedChildrenMs: number }

/** Processor time that these processes have had, in milliseconds. From /proc: Linux only. */
export function processorTimeOf(pids: readonly number[]): number {
  return sum(pids.map((pid) => readTimes(pid)?.ownMs ?? 0))
}

/** Of a server that has a process for each connection: its own, its children's, and that of those who have ended. */
export function processorTimeOfFamily(pid: number): number {
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  const children = processes.map((name) => readTimes(Number(name))).filter((times) => times?.parent === pid)
  const server = readTimes(pid)
  return (server?.ownMs ?? 0) + (server?.endedChildrenMs ?? 0) + sum(children.map((times) => times?.ownMs ?? 0))
}

function readTimes(pid: number): Times | null {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return null
  }
  // The name in brackets may hold anything, so fields are counted from the last bracket: state, parent, …
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = (from: number) => Number(fields[from]) + Number(fields[from + 1])
  return { parent: Number(fields[1]), ownMs: ticks(11) * MS_PER_TICK, endedChildrenMs: ticks(13) * MS_PER_TICK }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
