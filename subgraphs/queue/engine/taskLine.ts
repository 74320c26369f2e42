import type { ClaimedJob } from './job.ts'
import type { AnyTask, TaskItem } from './task.ts'

export type TaskLineOptions<Services> = {
  task: AnyTask<Services>
  isTrusted: (leaseId: string) => boolean
  isLost: (leaseId: string) => boolean
  /** Whether jobs may begin now; if not, `pump` is called when they may. */
  mayBegin: (jobs: readonly ClaimedJob[]) => boolean
  /** Jobs whose lease was lost before they began. */
  onLost: (jobs: ClaimedJob[]) => void
  /** Runs one batch to its end; never throws. */
  runBatch: (task: AnyTask<Services>, items: TaskItem<unknown>[]) => Promise<void>
}

/** The jobs of one task waiting in a worker: gathers them into batches and runs so many at once. */
export class TaskLine<Services> {
  readonly #options: TaskLineOptions<Services>
  readonly #size: number
  readonly #lingerMs: number
  readonly #concurrency: number
  #gathering: TaskItem<unknown>[] = []
  #ready: TaskItem<unknown>[][] = []
  /** Where #ready begins: taking from the front of a long array moves all of it. */
  #next = 0
  #linger: NodeJS.Timeout | undefined
  #running = 0
  #isClosed = false
  #onIdle = () => {}

  constructor(options: TaskLineOptions<Services>) {
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

  /** A job that was tried before runs alone: what spoiled its batch must not spoil another. Call `pump` after the last. */
  add(item: TaskItem<unknown>): void {
    if (item.job.attempt > 1 || this.#size === 1) this.#ready.push([item])
    else this.#gathering.push(item)
    if (this.#gathering.length >= this.#size) this.#closeBatch()
    else if (this.#gathering.length > 0) this.#linger ??= setTimeout(() => this.#lingered(), this.#lingerMs)
  }

  /**
   * Starts what may start. Jobs whose lease is in doubt wait for the next heartbeat; those of a lost one are dropped; those
   * that may not begin yet keep their turn.
   */
  pump(): void {
    if (this.#isClosed) return
    const { task, isTrusted, isLost, mayBegin, onLost, runBatch } = this.#options
    let looks = this.#ready.length - this.#next
    const first: TaskItem<unknown>[][] = []
    while (looks > 0 && this.#running + first.length < this.#concurrency) {
      looks -= 1
      const batch = this.#take()
      const lost = batch.filter(({ job }) => isLost(job.leaseId))
      if (lost.length > 0) onLost(lost.map(({ job }) => job))
      const held = lost.length > 0 ? batch.filter(({ job }) => !isLost(job.leaseId)) : batch
      if (held.length === 0) continue
      if (!held.every(({ job }) => isTrusted(job.leaseId))) {
        this.#ready.push(held)
        continue
      }
      if (!mayBegin(held.map(({ job }) => job))) {
        first.push(held)
        continue
      }
      this.#running += 1
      void runBatch(task, held).then(() => this.#ended())
    }
    if (first.length > 0) {
      this.#ready = [...first, ...this.#ready.slice(this.#next)]
      this.#next = 0
    }
  }

  /** What has not begun. */
  get waiting(): ClaimedJob[] {
    return [...this.#ready.slice(this.#next).flat(), ...this.#gathering].map(({ job }) => job)
  }

  /** Takes back what has not begun: nothing more begins after this. */
  close(): ClaimedJob[] {
    this.#isClosed = true
    clearTimeout(this.#linger)
    const { waiting } = this
    this.#ready = []
    this.#next = 0
    this.#gathering = []
    return waiting
  }

  /** Takes back one job that has not begun; undefined if it is not here. */
  remove(jobId: string): ClaimedJob | undefined {
    const isIt = ({ job }: TaskItem<unknown>) => job.id === jobId
    for (const batch of [this.#gathering, ...this.#ready.slice(this.#next)]) {
      const at = batch.findIndex(isIt)
      if (at >= 0) return batch.splice(at, 1)[0]?.job
    }
    return undefined
  }

  /** Resolves when nothing runs any more. */
  async idle(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve))
  }

  #ended(): void {
    this.#running -= 1
    if (this.#running === 0) this.#onIdle()
    this.pump()
  }

  #take(): TaskItem<unknown>[] {
    const batch = this.#ready[this.#next] as TaskItem<unknown>[]
    this.#next += 1
    if (this.#next === this.#ready.length || this.#next > 1_000) {
      this.#ready = this.#ready.slice(this.#next)
      this.#next = 0
    }
    return batch
  }

  #lingered(): void {
    this.#closeBatch()
    this.pump()
  }

  #closeBatch(): void {
    clearTimeout(this.#linger)
    this.#linger = undefined
    while (this.#gathering.length > 0) this.#ready.push(this.#gathering.splice(0, this.#size))
  }
}
