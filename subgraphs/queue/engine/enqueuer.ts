import { GroupCommit } from '#platform/groupCommit.ts'
import { type EnqueueResult, enqueueJobs } from './enqueue.ts'
import type { Sql } from './sql.ts'
import type { WakeUp } from './wakeUp.ts'

/** So many jobs are few enough for the statement that enqueues them to wake the workers too. */
const FEW = 50
const MOST_IN_A_GROUP = 500

/** Hands jobs in and wakes whoever waits for them. What single callers hand in at the same time becomes one commit. */
export class Enqueuer {
  readonly #sql: Sql
  readonly #wakeUp: WakeUp
  readonly #singles: GroupCommit<object, EnqueueResult>
  readonly #onChanged: (tenantId: string) => void

  /**
   * @param sql the system role's pool: each call is a transaction of its own
   * @param onChanged called for each tenant who has jobs that are new
   */
  constructor(sql: Sql, wakeUp: WakeUp, onChanged: (tenantId: string) => void = () => {}) {
    this.#sql = sql
    this.#wakeUp = wakeUp
    this.#onChanged = onChanged
    this.#singles = new GroupCommit({ run: (_key, requests) => this.enqueueAll(requests), maxItems: MOST_IN_A_GROUP })
  }

  /** One job, answered when it is committed; see `enqueueJobs` for the answer. */
  enqueue(request: object): Promise<EnqueueResult> {
    return this.#singles.submit('', request)
  }

  /** Many jobs in one commit, answered in their order. */
  async enqueueAll(requests: readonly object[]): Promise<EnqueueResult[]> {
    const wake = requests.length <= FEW && this.#wakeUp.takeTurn()
    const { results, readyQueues } = await enqueueJobs(this.#sql, requests, { wake })
    if (!wake) this.#wakeUp.announce(readyQueues)
    requests.forEach((request, place) => {
      const isNew = results[place]?.status === 'enqueued' || results[place]?.status === 'replaced'
      if (isNew) this.#onChanged((request as { tenantId: string }).tenantId)
    })
    return results
  }
}
