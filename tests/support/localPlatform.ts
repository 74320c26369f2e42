import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isRunning, type ProcessIdentity } from '#platform/local/processes.ts'
import { PORT_SETTINGS } from '#platform/local/settings.ts'
import { findFreePort } from './freePort.ts'

const ROOT = path.resolve(import.meta.dirname, '../..')

/** A data folder and free ports of one's own, for real runs of `npm start`. */
export type StartFolder = { dataDir: string; env: NodeJS.ProcessEnv; remove(): void }

export async function makeStartFolder(): Promise<StartFolder> {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'penguinmails-start-'))
  chmodSync(dataDir, 0o711)
  const settings: [string, string][] = []
  for (const name of Object.values(PORT_SETTINGS)) settings.push([name, String(await findFreePort())])
  // npm's and Jest's own variables are not a user's.
  const surroundings = Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_|JEST_|TEST_SERVICES)/.test(name))
  return {
    dataDir,
    env: { ...Object.fromEntries(surroundings), ...Object.fromEntries(settings), DATA_DIR: dataDir },
    remove() {
      const data = path.join(dataDir, 'postgres')
      if (existsSync(data)) rmSync(realpathSync(data), { recursive: true, force: true })
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

/** A running `npm start`. */
export type StartRun = {
  npm: ChildProcess
  output(): string
  /** Resolves with npm's exit code. */
  ended: Promise<number | null>
  /** Waits until the output matches. @throws Error with the output when it ends or takes too long first */
  waitFor(pattern: RegExp, deadlineMs?: number): Promise<RegExpExecArray>
}

export function runStart({ env }: StartFolder): StartRun {
  const npm = spawn('npm', ['start'], { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  let output = ''
  for (const stream of [npm.stdout, npm.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk
    })
  }
  const ended = new Promise<number | null>((resolve) => npm.once('close', resolve))
  return {
    npm,
    ended,
    output: () => output,
    async waitFor(pattern, deadlineMs = 120_000) {
      for (let waited = 0; waited < deadlineMs; waited += 50) {
        const match = pattern.exec(output)
        if (match) return match
        if (npm.exitCode !== null || npm.signalCode)
          throw new Error(`npm start ended with code ${npm.exitCode}:\n${output}`)
        await sleep(50)
      }
      throw new Error(`npm start did not print ${pattern} within ${deadlineMs} ms:\n${output}`)
    },
  }
}

/** What Ctrl-C does: every process in the terminal's foreground is interrupted. Resolves when npm has ended. */
export async function pressCtrlC({ npm, ended }: StartRun): Promise<void> {
  if (npm.exitCode === null && npm.signalCode === null && npm.pid) process.kill(-npm.pid, 'SIGINT')
  await ended
}

type Noted = ProcessIdentity & { name: string }

/** Every process the start runs, and the one that started them, from its lock. */
export function processesOf({ dataDir }: StartFolder): Noted[] {
  const { processes, ...supervisor } = JSON.parse(readFileSync(path.join(dataDir, 'start.lock'), 'utf8'))
  return [...processes, { name: 'supervisor', ...supervisor }]
}

/** Those of the processes that still run when the deadline has passed. */
export async function survivors(processes: Noted[], deadlineMs: number): Promise<Noted[]> {
  const deadline = Date.now() + deadlineMs
  while (processes.some(isRunning) && Date.now() < deadline) await sleep(50)
  return processes.filter(isRunning)
}
