import type { ClaimedJob } from './job.ts'
import type { AnyTask, TaskItem } from './task.ts'

type Options<Services> = {
  task: AnyTask<Services>
  isTrusted: (leaseId: string) => boolean
  isLost: (leaseId: string) => boolean
  /** Jobs whose lease was lost before they began. */
  onLost: (jobs: ClaimedJob[]) => void
  /** Runs one batch to its end; never throws. */
  runBatch: (task: AnyTask<Services>, items: TaskItem<unknown>[]) => Promise<void>
}

/** The jobs of one task waiting in a worker: gathers them into batches and runs so many at once. */
export class TaskLine<Services> {
  readonly #options: Options<Services>
  readonly #size: number
  readonly #lingerMs: number
  readonly #concurrency: number
  #gathering: TaskItem<unknown>[] = []
  #ready: TaskItem<unknown>[][] = []
  #linger: NodeJS.Timeout | undefined
  readonly #running = new Set<Promise<void>>()

  constructor(options: Options<Services>) {
    this.#options = options
    const { batch = { size: 1, lingerMs: 0 }, concurrency = 10 } = options.task
    this.#size = batch.size
    this.#lingerMs = batch.lingerMs
    this.#concurrency = concurrency
  }

  /** Jobs this line can have in work at once. */
  get capacity(): number {
    return this.#size * this.#concurrency
  }

  /** A job that was tried before runs alone: what spoiled its batch must not spoil another. */
  add(item: TaskItem<unknown>): void {
    if (item.job.attempt > 1) this.#ready.push([item])
    else this.#gathering.push(item)
    if (this.#gathering.length >= this.#size) this.#closeBatch()
    else this.#linger ??= setTimeout(() => this.#closeBatch(), this.#lingerMs)
    this.pump()
  }

  /** Starts what may start. Jobs whose lease is in doubt wait for the next heartbeat; those of a lost one are dropped. */
  pump(): void {
    const { task, isTrusted, isLost, onLost, runBatch } = this.#options
    for (let waiting = this.#ready.length; waiting > 0 && this.#running.size < this.#concurrency; waiting -= 1) {
      const batch = this.#ready.shift() as TaskItem<unknown>[]
      const lost = batch.filter(({ job }) => isLost(job.leaseId))
      if (lost.length > 0) onLost(lost.map(({ job }) => job))
      const held = batch.filter(({ job }) => !isLost(job.leaseId))
      if (held.length === 0) continue
      if (!held.every(({ job }) => isTrusted(job.leaseId))) {
        this.#ready.push(held)
        continue
      }
      const run = runBatch(task, held).finally(() => {
        this.#running.delete(run)
        this.pump()
      })
      this.#running.add(run)
    }
  }

  /** Takes back what has not begun: nothing more begins after this. */
  clear(): ClaimedJob[] {
    clearTimeout(this.#linger)
    const waiting = [...this.#ready.flat(), ...this.#gathering].map(({ job }) => job)
    this.#ready = []
    this.#gathering = []
    return waiting
  }

  /** Resolves when nothing runs any more. */
  async idle(): Promise<void> {
    await Promise.all(this.#running)
  }

  #closeBatch(): void {
    clearTimeout(this.#linger)
    this.#linger = undefined
    while (this.#gathering.length > 0) this.#ready.push(this.#gathering.splice(0, this.#size))
    this.pump()
  }
}
