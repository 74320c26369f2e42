import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import type { DataDirLock } from '#platform/local/dataDirLock.ts'
import { StartProblem } from '#platform/local/startProblem.ts'
import type { Runnable } from './bundle.ts'
import { type ChildLog, openChildLog } from './childLog.ts'
import { ROOT } from './generated.ts'
import type { ServiceName } from './processes.ts'
import type { Terminal } from './terminal.ts'

export type ServiceSpec = {
  name: ServiceName
  /** The program, from the repository's folder. */
  entry: string
  /** The file worth loading before the databases are there; importing it must do nothing by itself. */
  preload: string
  env: NodeJS.ProcessEnv
  /** Answers 200 once the service can work. */
  readyUrl: string
}

/** A service that is kept running until `stop`. */
export type Service = {
  readonly name: ServiceName
  /** Lets it go on from loading to working, and resolves when it is ready. @throws StartProblem with its last log lines */
  begin(): Promise<void>
  /** Replaces the process: after a change of its code. */
  restart(): void
  stop(): Promise<void>
}

export type Surroundings = {
  dataDir: string
  lock: DataDirLock
  terminal: Terminal
  /** Whether the platform is up. Until then services warn of each other's absence, which is nothing to report. */
  isUp: () => boolean
  runnable: Runnable
}

/** What each service is loaded through. */
export const GATE = 'cli/start/gate.ts'
const READY_DEADLINE_MS = 90_000
const STOP_DEADLINE_MS = 12_000
/** Deaths before it was ever ready after which there is no point in trying on. */
const BOOT_ATTEMPTS = 3
const BACKOFF_MS = { first: 250, longest: 15_000 }
/** A process that lived this long died of something else than its predecessor. */
const SETTLED_MS = 30_000

/** Starts a service as a process of its own; it loads its modules and waits for `begin`. */
export function startService(spec: ServiceSpec, surroundings: Surroundings): Service {
  const { dataDir, lock, terminal, isUp, runnable } = surroundings
  const { nodeOptions, fileOf } = runnable
  let child: ChildProcess
  let log: ChildLog
  let ended: Promise<void>
  let begun = false
  let ready = false
  let stopping = false
  let replacing = false
  let deaths = 0
  let giveUp = (_problem: StartProblem) => {}

  run()

  function run(): void {
    const startedAt = Date.now()
    replacing = false
    log = openChildLog(dataDir, spec.name, (message) => {
      if (isUp() && !stopping) terminal.warn(`${spec.name}: ${message}`)
    })
    const currentLog = log
    const gate = pathToFileURL(fileOf(GATE)).href
    child = spawn(process.execPath, [...nodeOptions, '--import', gate, fileOf(spec.entry)], {
      cwd: ROOT,
      env: { ...spec.env, GATE_PRELOAD: fileOf(spec.preload) },
      stdio: ['ignore', log.descriptor, 'pipe', 'ipc'],
      // Its own process group: Ctrl-C at the terminal reaches us alone, and we stop them in order.
      detached: true,
    })
    const current = child
    const { stderr, pid } = child
    if (pid) lock.track(spec.name, pid)
    if (stderr) log.takeErrors(stderr)
    if (begun) open(current)
    ended = new Promise((resolve) => {
      current.once('close', (code, signal) => {
        if (pid) lock.untrack(pid)
        currentLog.close()
        resolve()
        if (replacing) run()
        else if (!stopping) void recover(signal ? `by ${signal}` : `with code ${code}`, Date.now() - startedAt)
      })
      current.once('error', () => {})
    })
  }

  async function recover(how: string, livedMs: number): Promise<void> {
    deaths = livedMs > SETTLED_MS ? 1 : deaths + 1
    if (!ready && deaths >= BOOT_ATTEMPTS) {
      giveUp(new StartProblem(`${spec.name} does not start (ended ${how}); its log ends:\n${log.recent().join('\n')}`))
      return
    }
    if (ready) terminal.warn(`${spec.name} ended ${how}; starting it again (logs/${spec.name}.log)`)
    await sleep(Math.min(BACKOFF_MS.first * 2 ** (deaths - 1), BACKOFF_MS.longest))
    if (!stopping) run()
  }

  async function waitUntilReady(): Promise<void> {
    const deadline = Date.now() + READY_DEADLINE_MS
    while (Date.now() < deadline) {
      if (await answersOk(spec.readyUrl)) return
      await sleep(25)
    }
    throw new StartProblem(
      `${spec.name} was not ready after ${READY_DEADLINE_MS / 1000} s; its log ends:\n${log.recent().join('\n')}`,
    )
  }

  return {
    name: spec.name,
    async begin() {
      begun = true
      const hopeless = new Promise<never>((_resolve, reject) => {
        giveUp = reject
      })
      open(child)
      await Promise.race([waitUntilReady(), hopeless])
      ready = true
      deaths = 0
    },
    restart() {
      // While it is down, or on its way to be, the next one loads the new code anyhow.
      replacing = child.kill('SIGTERM')
    },
    async stop() {
      stopping = true
      replacing = false
      child.kill('SIGTERM')
      const late = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS)
      await ended
      clearTimeout(late)
    },
  }
}

function open(child: ChildProcess): void {
  if (child.connected) child.send('go', () => {})
}

async function answersOk(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(5_000) })
    await answer.body?.cancel()
    return answer.ok
  } catch {
    return false
  }
}
