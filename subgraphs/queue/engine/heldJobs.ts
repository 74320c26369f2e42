import type { ClaimedJob, HeldJob } from './job.ts'
import type { QueueLine } from './queueLine.ts'

/** The jobs that a worker has claimed and not settled yet. Keeps its queues' counts of them. */
export class HeldJobs {
  readonly #queues: ReadonlyMap<string, QueueLine>
  readonly #jobs = new Map<string, ClaimedJob>()
  /** Those that have been run and wait for their outcome to be written. */
  readonly #ended = new Set<ClaimedJob>()

  constructor(queues: ReadonlyMap<string, QueueLine>) {
    this.#queues = queues
  }

  get size(): number {
    return this.#jobs.size
  }

  find(jobId: string): ClaimedJob | undefined {
    return this.#jobs.get(jobId)
  }

  /** Whether it is held, and under this very lease: the same job may be held again under a later one. */
  holds({ id, leaseId }: HeldJob): boolean {
    return this.#jobs.get(id)?.leaseId === leaseId
  }

  /** What a claim brought, once its queue has counted it. */
  add(jobs: readonly ClaimedJob[]): void {
    for (const job of jobs) {
      // Held still under a lease that was lost meanwhile: whoever settles that one no longer finds it.
      const earlier = this.#jobs.get(job.id)
      if (earlier) this.#queues.get(earlier.queueName)?.settled(earlier, this.#ended.delete(earlier))
      this.#jobs.set(job.id, job)
    }
  }

  /** These have been run. What is held no more, since its lease was lost, was counted then. */
  ended(queue: QueueLine | undefined, jobs: readonly ClaimedJob[]): void {
    const held = jobs.filter((job) => this.#jobs.get(job.id) === job)
    for (const job of held) this.#ended.add(job)
    queue?.ended(held.length)
  }

  /** Forgets a job; undefined if it is not held under this lease. */
  drop(held: HeldJob): ClaimedJob | undefined {
    if (!this.holds(held)) return undefined
    const job = this.#jobs.get(held.id) as ClaimedJob
    this.#jobs.delete(held.id)
    this.#queues.get(job.queueName)?.settled(job, this.#ended.delete(job))
    return job
  }
}
