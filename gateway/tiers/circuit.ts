/** So many fetches on end that a tier did not answer, and it is left alone. */
const FAILURES = 10
/** One fetch finds out so often whether it is back. */
const REST_MS = 1_000

/** A tier is not asked: it has answered nobody for a while. */
export class CircuitOpen extends Error {}

export type CircuitOptions = {
  /** Whether an error says that the tier did not answer. */
  isAway: (error: unknown) => boolean
  onOpen: () => void
  onClose: () => void
}

/**
 * A circuit breaker: spares a tier that answers nobody, and its callers the wait. Any answer closes it, and what takes
 * too long counts only if nobody else was answered meanwhile: no one shuts a tier to others by questions that are too
 * large. Libraries let one trial decide and have others wait for it or fail by it; here that trial may be such a
 * question, so that the next second has its own.
 */
export class Circuit {
  readonly #options: CircuitOptions
  #failures = 0
  #answeredAt = 0
  #nextTrialAt = 0

  constructor(options: CircuitOptions) {
    this.#options = options
  }

  /** @throws CircuitOpen without having asked, or what `ask` throws */
  async run<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    const askedAt = performance.now()
    if (this.#isOpen) {
      if (askedAt < this.#nextTrialAt) throw new CircuitOpen('not asked: it has answered nobody for a while')
      this.#nextTrialAt = askedAt + REST_MS
    }
    try {
      const answer = await ask()
      this.#noteAnswer()
      return answer
    } catch (error) {
      if (!this.#options.isAway(error)) this.#noteAnswer()
      else if (this.#answeredAt <= askedAt) this.#noteFailure()
      throw error
    }
  }

  get #isOpen(): boolean {
    return this.#failures >= FAILURES
  }

  #noteAnswer(): void {
    const wasOpen = this.#isOpen
    this.#failures = 0
    this.#answeredAt = performance.now()
    if (wasOpen) this.#options.onClose()
  }

  #noteFailure(): void {
    this.#failures += 1
    if (this.#failures !== FAILURES) return
    this.#nextTrialAt = performance.now() + REST_MS
    this.#options.onOpen()
  }
}
