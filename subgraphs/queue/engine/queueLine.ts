import { type Claim, FIRST_TENANT } from './claim.ts'
import type { ClaimedJob } from './job.ts'

/**
 * Work kept at hand beyond what can run at once should last this long: enough to hide a claim, little enough to be fair.
 * It grows while it lasts less than half of that, fourfold at first, and is halved when it lasts more than twice as long.
 * Where many workers claim from one queue, or its database is busy, a claim takes longer to come: then it is more, up to
 * a limit, so that claims become fewer and larger instead of more and smaller.
 */
const PREFETCHED_MS = 50
const LONGEST_PREFETCHED_MS = 250
const SHORTEST_MEASURE_MS = 10
const MOST_PREFETCHED = 3_000
const CLAIM_LIMIT = 1_000

/** Outcomes not written yet don't keep a worker from claiming, but there is an end to them too. */
const MOST_HELD = 5_000

/** Nor do payloads come without end: a claim brings at most 8 MiB, and none is made on top of as much. */
const MOST_HELD_LENGTH = 8 * 1024 * 1024

/** One claim in so many begins with low priorities. */
const TURNS = 10

/** What a worker knows of one of its queues: how much it holds, how fast that goes, and whose turn it is. */
export class QueueLine {
  readonly name: string
  /** Jobs that the queue's tasks can have in work at once. */
  readonly capacity: number
  held = 0
  /** Their payloads as JSON, in characters. */
  #heldLength = 0
  /** Of those, how many have been run and wait for their outcome to be written. */
  #ended = 0
  /** Somebody said that there is work. */
  isWoken = true
  #prefetched: number
  /** Milliseconds that a claim takes, of late. */
  #claimMs = 0
  #workedOff = 0
  #measuredFrom = performance.now()
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
    const stock = this.held - this.#ended
    if (
      this.held > MOST_HELD ||
      this.#heldLength > MOST_HELD_LENGTH ||
      stock > wanted - Math.max(1, this.#prefetched / 2)
    )
      return 0
    return Math.min(CLAIM_LIMIT, wanted - stock)
  }

  get afterTenant(): string {
    return this.#afterTenant
  }

  /** How the next claim looks for jobs. */
  takeTurn(): { fromBelow: boolean; onward: true } {
    this.#turn = (this.#turn + 1) % TURNS
    return { fromBelow: this.#turn === 0, onward: true }
  }

  /** @param tookMs from asking for it to having it */
  claimed({ jobs }: Claim, tookMs = 0): void {
    this.#claimMs += (tookMs - this.#claimMs) / 4
    this.#adjustStock()
    this.held += jobs.length
    for (const { payloadLength } of jobs) this.#heldLength += payloadLength
    this.#afterTenant = this.#lastInTheCircle(jobs)
  }

  /** By how fast jobs were worked off, over long enough a time that a few that ended together don't count as fast. */
  #adjustStock(): void {
    const now = performance.now()
    const elapsedMs = now - this.#measuredFrom
    if (elapsedMs < SHORTEST_MEASURE_MS || this.#workedOff === 0) return
    const lastsMs = (this.#prefetched * elapsedMs) / this.#workedOff
    const wantedMs = Math.min(LONGEST_PREFETCHED_MS, Math.max(PREFETCHED_MS, this.#claimMs * 4))
    if (lastsMs < wantedMs / 4) this.#prefetched = Math.min(MOST_PREFETCHED, this.#prefetched * 4)
    else if (lastsMs < wantedMs / 2) this.#prefetched = Math.min(MOST_PREFETCHED, this.#prefetched * 2)
    else if (lastsMs > wantedMs * 2) this.#prefetched = Math.ceil(this.#prefetched / 2)
    this.#measuredFrom = now
    this.#workedOff = 0
  }

  /** The tenant furthest round from where the claim began; jobs come in the order in which to run them. */
  #lastInTheCircle(jobs: Claim['jobs']): string {
    let highest = ''
    let highestWrapped = ''
    for (const { tenantId } of jobs) {
      if (tenantId > highest) highest = tenantId
      if (tenantId <= this.#afterTenant && tenantId > highestWrapped) highestWrapped = tenantId
    }
    return highestWrapped || highest || this.#afterTenant
  }

  /** So many jobs have been run. */
  ended(jobs: number): void {
    this.#ended += jobs
    this.#workedOff += jobs
  }

  /** A job's outcome is written, or it is lost. What it held back, by a limit, may run now. */
  settled({ payloadLength }: Pick<ClaimedJob, 'payloadLength'>, hadEnded: boolean): void {
    this.held -= 1
    this.#heldLength -= payloadLength
    if (hadEnded) this.#ended -= 1
    else this.#workedOff += 1
    this.isWoken = true
  }
}
