import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import type { ProcessSettings } from '#platform/local/environment.ts'

const ROOT = path.resolve(import.meta.dirname, '../../..')

/** A worker in a process of its own, as it is in production; replaced as often as it is killed. */
export class WorkerProcess {
  readonly #settings: ProcessSettings
  #process: ChildProcess
  kills = 0

  constructor(settings: ProcessSettings) {
    this.#settings = settings
    this.#process = this.#spawn()
  }

  /** kill -9, and another in its place. */
  kill(): void {
    this.kills += 1
    this.#process.kill('SIGKILL')
    this.#process = this.#spawn()
  }

  async stop(): Promise<void> {
    const gone = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await gone
  }

  #spawn(): ChildProcess {
    return spawn(process.execPath, ['--import', 'tsx', path.join(ROOT, 'subgraphs/queue/worker.ts')], {
      cwd: ROOT,
      env: { PATH: process.env.PATH, ...this.#settings },
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  }
}
