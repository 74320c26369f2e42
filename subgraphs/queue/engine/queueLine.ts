import { FIRST_TENANT } from './claim.ts'
import type { ClaimedJob } from './job.ts'

/**
 * Work kept at hand beyond what can run at once should last this long: enough to hide a claim, little enough to be fair.
 * It is doubled while it runs out sooner and halved when it lasts more than twice as long.
 */
const PREFETCHED_MS = 50
const MOST_PREFETCHED = 3_000
const CLAIM_LIMIT = 1_000

/** One claim in so many begins with low priorities. */
const TURNS = 10

/** What a worker knows of one of its queues: how much it holds, how fast that goes, and whose turn it is. */
export class QueueLine {
  readonly name: string
  /** Jobs that the queue's tasks can have in work at once. */
  readonly capacity: number
  held = 0
  /** Somebody said that there is work. */
  isWoken = true
  #prefetched: number
  #claimedAt = performance.now()
  #turn = 0
  #afterTenant = FIRST_TENANT

  constructor(name: string, capacity: number) {
    this.name = name
    this.capacity = capacity
    this.#prefetched = capacity
  }

  /** How many jobs to claim now; 0 while enough are at hand. */
  get room(): number {
    const wanted = this.capacity + this.#prefetched
    return this.held > wanted - Math.max(1, this.#prefetched / 2) ? 0 : Math.min(CLAIM_LIMIT, wanted - this.held)
  }

  get afterTenant(): string {
    return this.#afterTenant
  }

  /** Whether the next claim begins with low priorities. */
  takeTurn(): boolean {
    this.#turn = (this.#turn + 1) % TURNS
    return this.#turn === 0
  }

  claimed(jobs: readonly ClaimedJob[]): void {
    const now = performance.now()
    const lastedMs = now - this.#claimedAt
    this.#claimedAt = now
    if (lastedMs < PREFETCHED_MS / 2) this.#prefetched = Math.min(MOST_PREFETCHED, this.#prefetched * 2)
    else if (lastedMs > PREFETCHED_MS * 2) this.#prefetched = Math.ceil(this.#prefetched / 2)
    this.held += jobs.length
    this.#afterTenant = jobs.at(-1)?.tenantId ?? this.#afterTenant
  }

  settled(): void {
    this.held -= 1
  }
}
