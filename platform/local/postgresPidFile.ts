import { existsSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { endProcess, findProcess } from './processes.ts'
import { StartProblem } from './startProblem.ts'

/** What PostgreSQL notes down about its running server. `status` is `ready` once it takes connections. */
export type PidFile = { pid: number; port: number; status: string }

export function readPidFile(cluster: string): PidFile | null {
  const file = path.join(cluster, 'postmaster.pid')
  if (!existsSync(file)) return null
  const lines = readFileSync(file, 'utf8').split('\n')
  return { pid: Number(lines[0]), port: Number(lines[3]), status: lines[7]?.trim() ?? '' }
}

/**
 * Clears the way for a new server after one that was killed.
 * A file whose number now belongs to another program would stop PostgreSQL from starting, so it is removed; a server
 * that outlived whoever started it is shut down. The caller holds the data folder's lock, so nobody else wants it.
 */
export async function clearStalePidFile(cluster: string): Promise<void> {
  const stale = readPidFile(cluster)
  if (!stale) return
  const running = findProcess(stale.pid)
  const isServer = running?.command.includes('postgres') && running.command.includes(cluster)
  if (running && isServer) {
    const ended = await endProcess(running, ['SIGINT', 'SIGQUIT'], 10_000)
    if (!ended) throw new StartProblem(`PostgreSQL (process ${stale.pid}) still runs on ${cluster} and does not stop`)
    return
  }
  rmSync(path.join(cluster, 'postmaster.pid'), { force: true })
}
