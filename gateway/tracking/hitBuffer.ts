import type { Counter } from 'prom-client'
import { type DeliverJobs, deliverEach, type JobToEnqueue } from '#platform/jobs/delivery.ts'
import type { Log } from '#platform/log.ts'

/** How long a hit waits for company, and how many go to the queue at once. */
const GATHER_MS = 10
const BATCH_SIZE = 500

/** Some 25 MB. What comes when that is full is not counted: an open is worth less than the process. */
const MAX_HELD = 40_000

const LONGEST_PAUSE_MS = 5_000

export type HitBufferOptions = { deliver: DeliverJobs; log: Log; counter: Counter<'outcome'> }

/**
 * Opens and clicks on their way to the queue: whoever was answered does not wait for it. A queue that is away is asked
 * again, with growing pauses, until it takes them; what a crash takes with it is what came since.
 */
export class HitBuffer {
  readonly #options: HitBufferOptions
  #held: JobToEnqueue[] = []
  #timer: NodeJS.Timeout | undefined
  #failures = 0
  #flushing: Promise<void> | undefined

  constructor(options: HitBufferOptions) {
    this.#options = options
  }

  /** Hits not yet taken by the queue. */
  get size(): number {
    return this.#held.length
  }

  add(hit: JobToEnqueue): void {
    if (this.#held.length >= MAX_HELD) {
      this.#options.counter.inc({ outcome: 'dropped' })
      return
    }
    this.#held.push(hit)
    this.#schedule()
  }

  /** Hands over what it can within one attempt per batch, and stops. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#flushing
    while (this.#held.length > 0 && (await this.#deliverNext()));
    clearTimeout(this.#timer)
    if (this.#held.length > 0) this.#options.log.warn({ hits: this.#held.length }, 'opens and clicks were lost')
  }

  #schedule(): void {
    if (this.#timer || this.#flushing || this.#held.length === 0) return
    const pause = this.#failures === 0 ? GATHER_MS : Math.min(LONGEST_PAUSE_MS, 100 * 2 ** this.#failures)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#flushing = this.#flush()
    }, pause)
  }

  async #flush(): Promise<void> {
    while (this.#held.length > 0 && (await this.#deliverNext()));
    this.#flushing = undefined
    this.#schedule()
  }

  /** Whether the queue took the next batch; what it did not take stays first in line. Never throws. */
  async #deliverNext(): Promise<boolean> {
    const { deliver, log, counter } = this.#options
    const batch = this.#held.splice(0, BATCH_SIZE)
    const outcomes = await deliverEach(batch, deliver)
    const left = batch.filter(({ key }) => outcomes.get(key)?.kind === 'failed')
    const refused = batch.filter(({ key }) => outcomes.get(key)?.kind === 'refused')
    this.#held.unshift(...left)
    counter.inc({ outcome: 'taken' }, batch.length - left.length - refused.length)
    if (refused[0]) {
      counter.inc({ outcome: 'refused' }, refused.length)
      log.error({ hits: refused.length, outcome: outcomes.get(refused[0].key) }, 'the queue refuses opens or clicks')
    }
    if (left[0] && this.#failures === 0) {
      log.warn({ outcome: outcomes.get(left[0].key) }, 'the queue takes no opens and clicks now; they are kept')
    }
    if (left.length === 0 && this.#failures > 0) log.info('the queue takes opens and clicks again')
    this.#failures = left.length > 0 ? this.#failures + 1 : 0
    return left.length === 0
  }
}
