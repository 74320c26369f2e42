import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '#platform/log.ts'

export type OutcomeLineOptions<Outcome> = {
  log: Log
  /** Writes a batch and tells whoever waits for it. */
  write: (batch: readonly Outcome[]) => Promise<void>
  /** What is to become of an outcome that the database cannot hold. */
  onSpoiled: (outcome: Outcome) => void
}

const LONGEST_PAUSE_MS = 2_000

/** A second write is begun beside one under way for no fewer outcomes: it hides the time a commit takes to reach the disk. */
const WORTH_A_SECOND_WRITE = 250
const MOST_WRITES = 2

/** Outcomes of one kind on their way to the database: those that come while a batch is written make up the next one. */
export class OutcomeLine<Outcome> {
  readonly #options: OutcomeLineOptions<Outcome>
  #waiting: Outcome[] = []
  readonly #writes = new Set<Promise<void>>()
  #giveUpAt = Number.POSITIVE_INFINITY

  constructor(options: OutcomeLineOptions<Outcome>) {
    this.#options = options
  }

  get isBusy(): boolean {
    return this.#writes.size > 0
  }

  add(outcomes: readonly Outcome[]): void {
    this.#waiting.push(...outcomes)
    const isWorthIt = this.#writes.size === 0 || this.#waiting.length >= WORTH_A_SECOND_WRITE
    if (this.#waiting.length === 0 || !isWorthIt || this.#writes.size === MOST_WRITES) return
    const write: Promise<void> = this.#flush().then(() => {
      this.#writes.delete(write)
      // What was added between the last look and now.
      if (!this.#isGivenUp) this.add([])
    })
    this.#writes.add(write)
  }

  /** From then on, by performance.now(), what the database does not take is left to the leases' end. */
  giveUpAt(moment: number): void {
    this.#giveUpAt = moment
  }

  /** Waits until what there is now is written, or given up. */
  async idle(): Promise<void> {
    while (this.isBusy) await Promise.all(this.#writes)
  }

  get #isGivenUp(): boolean {
    return performance.now() >= this.#giveUpAt
  }

  async #flush(): Promise<void> {
    const { log, write, onSpoiled } = this.#options
    let failures = 0
    let isSpoiled = false
    // What ends in this turn of the event loop still comes along.
    await nextTurn()
    while (this.#waiting.length > 0) {
      // Something in it cannot be written: one by one until it is found.
      const batch = this.#waiting.splice(0, isSpoiled ? 1 : this.#waiting.length)
      try {
        await write(batch)
        if (failures > 0) log.info('outcomes are written again')
        failures = 0
      } catch (error) {
        // Written or not is unknown; once more is harmless, because a settled job is no longer under its lease.
        if (failures === 0) log.warn({ err: error, jobs: batch.length }, 'outcomes could not be written yet')
        failures += 1
        const [only] = batch
        if (isDataError(error) && batch.length === 1) {
          onSpoiled(only as Outcome)
        } else if (isDataError(error)) {
          isSpoiled = true
          this.#waiting.unshift(...batch)
          continue
        } else {
          this.#waiting.unshift(...batch)
          if (this.#isGivenUp) return
        }
        await sleep(Math.min(LONGEST_PAUSE_MS, 100 * 2 ** failures))
      }
    }
  }
}

/** The statement itself is at fault (SQLSTATE classes 22 and 23), so repeating it cannot help. */
function isDataError(error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' && /^2[23]...$/.test(code)
}
