import { setTimeout as sleep } from 'node:timers/promises'

/**
 * What a subscriber waits at: it is rung when something may have changed. However often it rings while nobody waits, the
 * next wait ends once.
 */
export class Bell {
  readonly #signal: AbortSignal
  #isRung = false
  #wake = () => {}

  /** @param signal ends every wait, by throwing its reason */
  constructor(signal: AbortSignal) {
    this.#signal = signal
    signal.addEventListener('abort', () => this.#wake(), { once: true })
  }

  ring(): void {
    this.#isRung = true
    this.#wake()
  }

  /** Forgets what rang before: it is looked at now. */
  rearm(): void {
    this.#isRung = false
  }

  /** Until it rings, `milliseconds` at most. */
  async wait(milliseconds: number): Promise<void> {
    this.#signal.throwIfAborted()
    if (this.#isRung) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#signal.throwIfAborted()
  }

  /** For so long, whoever rings. */
  async pause(milliseconds: number): Promise<void> {
    if (milliseconds > 0) await sleep(milliseconds, undefined, { signal: this.#signal })
  }
}
