import { PermanentFailure } from './failure.ts'
import type { ClaimedJob } from './job.ts'
import { describeProblem } from './jobRequest.ts'
import type { AnyTask } from './task.ts'
import { TaskLine, type TaskLineOptions } from './taskLine.ts'

/** What a worker can do, and what waits in it to be done: one line for each task. */
export class TaskLines<Services> {
  readonly #lines: ReadonlyMap<string, { task: AnyTask<Services>; line: TaskLine<Services> }>
  readonly queueNames: readonly string[]

  constructor(tasks: readonly AnyTask<Services>[], options: Omit<TaskLineOptions<Services>, 'task'>) {
    this.#lines = new Map(tasks.map((task) => [task.jobType, { task, line: new TaskLine({ ...options, task }) }]))
    this.queueNames = [...new Set(tasks.map(({ queueName }) => queueName))]
  }

  /** Jobs of a queue that its tasks can have in work at once. */
  capacityOf(queueName: string): number {
    const ofQueue = [...this.#lines.values()].filter(({ task }) => task.queueName === queueName)
    return ofQueue.reduce((sum, { line }) => sum + line.capacity, 0)
  }

  /**
   * Puts a job in its task's line. Call `pump` after the last.
   * @throws PermanentFailure when no task runs it, or its payload is none of the task's
   */
  add(job: ClaimedJob): void {
    const known = this.#lines.get(job.jobType)
    if (!known || known.task.queueName !== job.queueName) {
      throw new PermanentFailure(`no task runs ${job.jobType} jobs of the queue ${job.queueName}`)
    }
    const payload = known.task.payload.safeParse(job.payload)
    if (!payload.success) throw new PermanentFailure(`the payload does not parse: ${describeProblem(payload.error)}`)
    known.line.add({ job, payload: payload.data })
  }

  pump(): void {
    for (const { line } of this.#lines.values()) line.pump()
  }

  /** What has not begun. */
  get waiting(): ClaimedJob[] {
    return [...this.#lines.values()].flatMap(({ line }) => line.waiting)
  }

  /** Takes back what has not begun: nothing more begins after this. */
  close(): ClaimedJob[] {
    return [...this.#lines.values()].flatMap(({ line }) => line.close())
  }

  /** Takes back one job that has not begun; undefined if it is not here. */
  remove({ id, jobType }: ClaimedJob): ClaimedJob | undefined {
    return this.#lines.get(jobType)?.line.remove(id)
  }

  /** Resolves when nothing runs any more. */
  async idle(): Promise<void> {
    await Promise.all([...this.#lines.values()].map(({ line }) => line.idle()))
  }
}
