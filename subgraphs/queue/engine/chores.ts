import type { Log } from '#platform/log.ts'

/** Things done again and again beside the real work, each never twice at once. */
export class Chores {
  readonly #log: Log
  readonly #timers: NodeJS.Timeout[] = []

  constructor(log: Log) {
    this.#log = log
  }

  every(milliseconds: number, chore: () => Promise<unknown>): void {
    let isAtIt = false
    const run = async () => {
      if (isAtIt) return
      isAtIt = true
      try {
        await chore()
      } catch (error) {
        // The claim loop and the heartbeat already say when the database is away.
        this.#log.debug({ err: error }, 'a chore failed')
      }
      isAtIt = false
    }
    this.#timers.push(setInterval(run, milliseconds))
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer)
  }
}
