import { type Log, logForJob } from '#platform/log.ts'
import type { TaskContext, TaskItem } from './task.ts'

export type AttemptOptions<Services> = {
  services: Services
  log: Log
  report: TaskContext<Services>['report']
}

/**
 * One call of a task under way, and what the task is given with its items. Ends by itself, or is ended: then its signal
 * aborts and the call's outcome is the reason.
 */
export class Attempt<Services> implements TaskContext<Services> {
  readonly items: readonly TaskItem<unknown>[]
  /** By performance.now(). */
  readonly startedAt = performance.now()
  readonly deadline: number
  readonly #options: AttemptOptions<Services>
  #reason: unknown
  #end: ((reason: unknown) => void) | undefined
  #controller: AbortController | undefined

  constructor(items: readonly TaskItem<unknown>[], options: AttemptOptions<Services>) {
    this.items = items
    this.#options = options
    let timeoutMs = Number.POSITIVE_INFINITY
    for (const { job } of items) if (job.timeoutMs < timeoutMs) timeoutMs = job.timeoutMs
    this.deadline = this.startedAt + timeoutMs
  }

  get services(): Services {
    return this.#options.services
  }

  get report(): TaskContext<Services>['report'] {
    return this.#options.report
  }

  /** Made when first asked for, as the log is: most tasks never do, and one per job is dear. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#reason !== undefined) this.#controller.abort(this.#reason)
    return this.#controller.signal
  }

  get log(): Log {
    const [first] = this.items
    if (!first) return this.#options.log
    return this.items.length === 1
      ? logForJob(this.#options.log, first.job)
      : this.#options.log.child({ jobType: first.job.jobType })
  }

  /** What `work` comes to, or a rejection with the reason as soon as the attempt is ended, whether or not it listens. */
  result<Result>(work: Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#end = reject
      if (this.#reason !== undefined) reject(this.#reason)
      work.then(resolve, reject)
    })
  }

  end(reason: Error): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    this.#controller?.abort(reason)
    this.#end?.(reason)
  }
}
