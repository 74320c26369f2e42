import { z } from 'zod'
import type { ClaimedJob } from '../../../subgraphs/queue/engine/job.ts'
import { JobRunner, type JobRunnerOptions } from '../../../subgraphs/queue/engine/jobRunner.ts'
import type { AnyTask, Task } from '../../../subgraphs/queue/engine/task.ts'
import { makeWakeUp } from '../../../subgraphs/queue/engine/wakeUp.ts'
import { type QueueDatabase, silent } from './queueDatabase.ts'

export type NoServices = Record<string, never>
type Payload = { text?: string }

/** A task of the notification queue that does what it is told, one job a call unless it says otherwise. */
export function task(run: Task<NoServices, Payload>['run'], changes: Partial<Task<NoServices, Payload>> = {}) {
  return {
    jobType: 'echo',
    queueName: 'notification-delivery',
    payload: z.object({ text: z.string().optional() }),
    run,
    ...changes,
  }
}

/** A runner at work in this process; `stop` it. */
export function startRunner(
  queue: QueueDatabase,
  tasks: AnyTask<NoServices>[],
  options: Partial<JobRunnerOptions<NoServices>> = {},
): JobRunner<NoServices> {
  const runner = new JobRunner<NoServices>({
    pool: queue.sql,
    tasks,
    services: {},
    wakeUp: makeWakeUp(undefined, silent),
    log: silent,
    pollMs: 30,
    ...options,
  })
  runner.start()
  return runner
}

export function idsOf(items: readonly { job: ClaimedJob }[]): string[] {
  return items.map(({ job }) => job.id)
}
