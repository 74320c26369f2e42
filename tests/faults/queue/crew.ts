import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { WorkerOrder, WorkerSettings } from './programs/worker.ts'

const ROOT = path.resolve(import.meta.dirname, '../../..')
const PROGRAM = path.join(import.meta.dirname, 'programs/worker.ts')
const STOP_DEADLINE_MS = 12_000
/** How long a fault waits for its worker to be in the midst of some work. */
const BUSY_DEADLINE_MS = 2_000

type Worker = { process: ChildProcess; pid: number; ready: Promise<void>; gone: Promise<unknown> }

/** The worker processes, by slot. One that was killed is replaced at once. */
export class Crew {
  readonly #settings: WorkerSettings
  readonly #slots: Worker[] = []
  readonly #everyone: Worker[] = []
  readonly #expectedToEnd = new Set<number>()
  /** Workers that ended though nobody ended them. */
  readonly deaths: string[] = []

  constructor(settings: WorkerSettings) {
    this.#settings = settings
  }

  async start(workers: number): Promise<void> {
    for (let slot = 0; slot < workers; slot += 1) this.#slots.push(this.#spawn())
    await Promise.all(this.#slots.map(({ ready }) => ready))
  }

  /** kill -9 in the midst of some work, and a new worker in its place. */
  async kill(slot: number): Promise<{ pid: number; at: number }> {
    const { process, pid, gone } = await this.#busy(slot)
    this.#expectedToEnd.add(pid)
    process.kill('SIGKILL')
    const at = Date.now()
    this.#slots[slot] = this.#spawn()
    await gone
    return { pid, at }
  }

  /** SIGSTOP in the midst of some work, and SIGCONT after a while. */
  async pause(slot: number, forMs: number, signal: AbortSignal): Promise<{ pid: number; from: number; to: number }> {
    const { process, pid } = await this.#busy(slot)
    // Should we die meanwhile, nobody could end a process that is stopped: this one wakes it anyway.
    const alarm = spawn('/bin/sh', ['-c', `sleep ${Math.ceil(forMs / 1_000) + 5}; kill -CONT ${pid}`], {
      detached: true,
      stdio: 'ignore',
    })
    alarm.unref()
    process.kill('SIGSTOP')
    const from = Date.now()
    await sleep(forMs, undefined, { signal }).finally(() => {
      process.kill('SIGCONT')
      if (alarm.pid) globalThis.process.kill(-alarm.pid, 'SIGKILL')
    })
    return { pid, from, to: Date.now() }
  }

  /** From now on this worker's wall clock is off by so much. */
  async jumpClock(slot: number, byMs: number): Promise<{ pid: number; at: number }> {
    const { process, pid } = await this.#ready(slot)
    process.send({ do: 'jumpClock', byMs } satisfies WorkerOrder)
    return { pid, at: Date.now() }
  }

  /** Lets everyone finish and leave. */
  async stop(): Promise<void> {
    for (const { process, pid } of this.#living()) {
      this.#expectedToEnd.add(pid)
      process.send({ do: 'stop' } satisfies WorkerOrder)
    }
    const late = sleep(STOP_DEADLINE_MS, 'late', { ref: false })
    const left = Promise.all(this.#everyone.map(({ gone }) => gone))
    if ((await Promise.race([left, late])) === 'late') this.deaths.push('a worker did not stop when it was told to')
  }

  /** Ends whoever is left, whatever it is doing. */
  async close(): Promise<void> {
    for (const { process, pid } of this.#living()) {
      this.#expectedToEnd.add(pid)
      process.kill('SIGKILL')
    }
    await Promise.all(this.#everyone.map(({ gone }) => gone))
  }

  #living(): Worker[] {
    return this.#everyone.filter(({ process }) => process.exitCode === null && process.signalCode === null)
  }

  async #ready(slot: number): Promise<Worker> {
    const worker = this.#slots[slot]
    if (!worker) throw new Error(`there is no worker ${slot}`)
    await worker.ready
    return worker
  }

  async #busy(slot: number): Promise<Worker> {
    const worker = await this.#ready(slot)
    const busy = once(worker.process, 'message')
    worker.process.send({ do: 'tellWhenBusy' } satisfies WorkerOrder)
    await Promise.race([busy, worker.gone, sleep(BUSY_DEADLINE_MS, undefined, { ref: false })])
    return worker
  }

  #spawn(): Worker {
    const process = spawn(globalThis.process.execPath, ['--import', 'tsx', PROGRAM], {
      cwd: ROOT,
      env: { PATH: globalThis.process.env.PATH, FAULT_WORKER: JSON.stringify(this.#settings) },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      // Its own process group: Ctrl-C at the terminal is ours to answer.
      detached: true,
    })
    const pid = process.pid
    if (!pid) throw new Error('a worker could not be started')
    const gone = once(process, 'exit').then(([code, signal]) => {
      if (!this.#expectedToEnd.has(pid)) this.deaths.push(`worker ${pid} ended by itself: ${signal ?? `code ${code}`}`)
    })
    // One that dies before it says so is as ready as it gets: its death is noted.
    const ready = Promise.race([once(process, 'message').then(() => {}), gone])
    const worker = { process, pid, ready, gone }
    this.#everyone.push(worker)
    return worker
  }
}
