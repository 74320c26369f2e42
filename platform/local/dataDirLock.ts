import { renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { makePassableFolder } from './passableFolder.ts'
import { createJsonFile, readJsonFile, replaceJsonFile } from './privateFile.ts'
import { endProcess, findProcess, isRunning, type ProcessIdentity } from './processes.ts'
import { StartProblem } from './startProblem.ts'

type Tracked = ProcessIdentity & { name: string }
type LockFile = ProcessIdentity & { processes: Tracked[] }

/** The right to run the platform on one data folder, with a list of what has been started on it. */
export type DataDirLock = {
  /** Notes a process down, so that the next start can end it if we are killed. */
  track(name: string, pid: number): void
  /** Takes it off the list: it has ended. */
  untrack(pid: number): void
  release(): void
}

/** What a process left behind by a killed start gets, in turn, `PATIENCE_MS` apart. */
const LEFTOVER_SIGNALS: NodeJS.Signals[] = ['SIGTERM', 'SIGKILL']
const PATIENCE_MS = 12_000

/**
 * Takes the data folder for this process. A lock whose holder is gone is taken over, and whatever its holder had started
 * and still runs is ended first (PostgreSQL by the launcher, which knows how).
 * @throws StartProblem when another start is running on the folder
 */
export async function lockDataDir(dataDir: string): Promise<DataDirLock> {
  const file = path.join(dataDir, 'start.lock')
  const self = findProcess(process.pid)
  if (!self) throw new Error('cannot find this process in the list of processes')
  const held: LockFile = { pid: self.pid, startedAt: self.startedAt, processes: [] }
  makePassableFolder(dataDir)
  while (!createJsonFile(file, held)) await takeOverIfStale(file)
  return {
    track(name, pid) {
      const found = findProcess(pid)
      if (!found) return
      held.processes.push({ name, pid, startedAt: found.startedAt })
      replaceJsonFile(file, held)
    },
    untrack(pid) {
      held.processes = held.processes.filter((one) => one.pid !== pid)
      replaceJsonFile(file, held)
    },
    release() {
      rmSync(file, { force: true })
    },
  }
}

async function takeOverIfStale(file: string): Promise<void> {
  const stale = readJsonFile(file) as LockFile | null
  if (!stale) return
  if (isRunning(stale)) {
    throw new StartProblem(
      `the platform is already running on ${path.dirname(file)} (process ${stale.pid}): stop it, or set DATA_DIR and the ports`,
    )
  }
  const leftovers = stale.processes.filter((one) => one.name !== 'postgres')
  await Promise.all(leftovers.map((one) => endProcess(one, LEFTOVER_SIGNALS, PATIENCE_MS)))
  // Of two starts that find the same stale lock, one moves it away; the other finds the first one's lock or none.
  const moved = `${file}.${process.pid}`
  try {
    renameSync(file, moved)
  } catch {
    return
  }
  const taken = readJsonFile(moved) as LockFile
  if (taken.pid !== stale.pid || taken.startedAt !== stale.startedAt) createJsonFile(file, taken)
  rmSync(moved, { force: true })
}
