import { Attempt, type AttemptOptions } from './attempt.ts'
import type { TaskItem } from './task.ts'

/** Why an attempt was ended from outside. */
export class Stopped extends Error {
  readonly by: 'worker' | 'lease' | 'person'

  constructor(by: 'worker' | 'lease' | 'person', message: string) {
    super(message)
    this.by = by
  }
}

const LOOK_EVERY_MS = 100

/** The calls under way in a worker. One clock watches all their deadlines: a timer for each job costs more than the job. */
export class Attempts<Services> {
  readonly #options: AttemptOptions<Services>
  readonly #running = new Set<Attempt<Services>>()
  #clock: NodeJS.Timeout | undefined
  #stopped: Stopped | undefined

  constructor(options: AttemptOptions<Services>) {
    this.#options = options
  }

  begin(items: readonly TaskItem<unknown>[]): Attempt<Services> {
    const attempt = new Attempt(items, this.#options)
    this.#running.add(attempt)
    this.#clock ??= setInterval(() => this.#look(), LOOK_EVERY_MS)
    if (this.#stopped) attempt.end(this.#stopped)
    return attempt
  }

  finish(attempt: Attempt<Services>): void {
    this.#running.delete(attempt)
  }

  /** Ends all there is and all that is still to come. */
  stopAll(reason: Stopped): void {
    this.#stopped = reason
    for (const attempt of this.#running) attempt.end(reason)
  }

  /** Ends calls of which every job is under a lost lease: only the others' jobs can still be settled. */
  endLost(isLost: (leaseId: string) => boolean): void {
    for (const attempt of this.#running) {
      if (attempt.items.every(({ job }) => isLost(job.leaseId))) attempt.end(new Stopped('lease', 'the lease was lost'))
    }
  }

  /** Ends the call that runs this job, and with it the jobs that share it. */
  endJob(jobId: string): void {
    for (const attempt of this.#running) {
      if (attempt.items.some(({ job }) => job.id === jobId)) attempt.end(new Stopped('person', 'stopped by a person'))
    }
  }

  close(): void {
    clearInterval(this.#clock)
    this.#clock = undefined
  }

  #look(): void {
    const now = performance.now()
    for (const attempt of this.#running) {
      if (now >= attempt.deadline) {
        attempt.end(new Error(`took longer than ${(attempt.deadline - attempt.startedAt) / 1000} s`))
      }
    }
    if (this.#running.size === 0) this.close()
  }
}
