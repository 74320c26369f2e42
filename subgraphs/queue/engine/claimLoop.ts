import type pg from 'pg'
import type { Log } from '#platform/log.ts'
import { type Claim, claimJobs, findQueuesWithWork } from './claim.ts'
import { Pause } from './pause.ts'
import type { QueueLine } from './queueLine.ts'
import { registerWorker, type WorkerIdentity } from './registry.ts'

export type ClaimLoopOptions = {
  pool: pg.Pool
  log: Log
  worker: WorkerIdentity
  queues: ReadonlyMap<string, QueueLine>
  leaseMs: number
  pollMs: number
  /** @param claimedAt performance.now() before the claim was sent */
  onClaimed: (claim: Claim, claimedAt: number) => void
}

const LONGEST_PAUSE_MS = 5_000

/** Claims for a worker whatever it has room for, whenever somebody said that there is work, or nobody said so for a while. */
export class ClaimLoop {
  readonly #options: ClaimLoopOptions
  readonly #pause = new Pause()
  #isStopping = false
  #loop: Promise<void> | undefined

  constructor(options: ClaimLoopOptions) {
    this.#options = options
  }

  /** Registers the worker and begins. Waits for the database as long as it takes. */
  start(): void {
    this.#loop = this.#run()
  }

  /** Claims nothing more; `ended` resolves when a claim under way is through. */
  stop(): { ended: Promise<void> } {
    this.#isStopping = true
    this.#pause.wake()
    return { ended: this.#loop ?? Promise.resolve() }
  }

  /** There may be something to do, in any queue. */
  wakeAll(): void {
    for (const queue of this.#options.queues.values()) queue.isWoken = true
    this.#pause.wake()
  }

  /** There is work in this queue. */
  wakeQueue(queueName: string): void {
    const queue = this.#options.queues.get(queueName)
    if (!queue) return
    queue.isWoken = true
    this.wakeFor(queue)
  }

  /** There may be room for what a queue was said to have. */
  wakeFor(queue: QueueLine): void {
    if (queue.isWoken && queue.room > 0) this.#pause.wake()
  }

  /** Something was settled: what it held back may run now. */
  wake(): void {
    this.#pause.wake()
  }

  async #run(): Promise<void> {
    const { pool, log, worker, queues, pollMs } = this.#options
    let failures = 0
    let isRegistered = false
    while (!this.#isStopping) {
      this.#pause.rearm()
      try {
        if (!isRegistered) await registerWorker(pool, worker)
        isRegistered = true
        const claimed = await this.#claimWhatFits()
        if (failures > 0) log.info({ failures }, 'the worker finds its jobs again')
        failures = 0
        if (claimed > 0 || this.#isStopping) continue
        const isWoken = await this.#pause.wait(pollMs)
        if (!isWoken) await this.#lookForWork()
      } catch (error) {
        if (failures === 0) log.warn({ err: error }, 'the worker cannot claim jobs')
        failures += 1
        // Settled jobs wake the worker; that is no reason to ask a database that is away.
        if (!this.#isStopping) this.#pause.rearm()
        await this.#pause.wait(Math.min(LONGEST_PAUSE_MS, pollMs * 2 ** failures))
        for (const queue of queues.values()) queue.isWoken = true
      }
    }
  }

  /** Claims from the queues that were said to have work. */
  async #claimWhatFits(): Promise<number> {
    let claimed = 0
    for (const queue of this.#options.queues.values()) {
      if (!queue.isWoken || queue.room === 0 || this.#isStopping) continue
      queue.isWoken = false
      claimed += await this.#claimFrom(queue)
    }
    return claimed
  }

  /** A queue that gave all it was asked for may have more; another says so when it does. */
  async #claimFrom(queue: QueueLine): Promise<number> {
    const { pool, worker, leaseMs, onClaimed } = this.#options
    const limit = queue.room
    const claimedAt = performance.now()
    const claim = await claimJobs(pool, {
      workerId: worker.id,
      queueName: queue.name,
      limit,
      leaseMs,
      afterTenant: queue.afterTenant,
      ...queue.takeTurn(),
    })
    if (!claim) return 0
    queue.isWoken ||= claim.jobs.length === limit
    queue.claimed(claim, performance.now() - claimedAt)
    onClaimed(claim, claimedAt)
    return claim.jobs.length
  }

  /** What nobody announced: retries and delayed jobs whose time has come, wake-ups that were lost. */
  async #lookForWork(): Promise<void> {
    const { pool, queues } = this.#options
    const hungry = [...queues.values()].filter(({ room }) => room > 0).map(({ name }) => name)
    for (const name of await findQueuesWithWork(pool, hungry)) {
      const queue = queues.get(name)
      if (queue) queue.isWoken = true
    }
  }
}
