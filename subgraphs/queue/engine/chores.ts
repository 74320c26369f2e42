import type { Log } from '#platform/log.ts'

/** Things done again and again beside the real work, each never twice at once. */
export class Chores {
  readonly #log: Log
  readonly #timers: NodeJS.Timeout[] = []
  #isStopped = false

  constructor(log: Log) {
    this.#log = log
  }

  /** @param complaint a warning for the first failure of several: for what must not fail unseen */
  every(milliseconds: number, chore: () => Promise<unknown>, complaint?: string): void {
    let isAtIt = false
    let isFailing = false
    const run = async () => {
      if (isAtIt) return
      isAtIt = true
      try {
        await chore()
        isFailing = false
      } catch (error) {
        // The claim loop and the heartbeat already say when the database is away; once stopped, it is meant to be.
        if (complaint && !isFailing && !this.#isStopped) this.#log.warn({ err: error }, complaint)
        else this.#log.debug({ err: error }, 'a chore failed')
        isFailing = true
      }
      isAtIt = false
    }
    this.#timers.push(setInterval(run, milliseconds))
  }

  stop(): void {
    this.#isStopped = true
    for (const timer of this.#timers) clearInterval(timer)
  }
}
