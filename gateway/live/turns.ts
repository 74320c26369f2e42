/**
 * Work in turns: of one key so much at a time, the rest waits in the order in which it came. However many streams a
 * tenant has, its looks are never more than that for the tiers.
 */
export class Turns {
  readonly #atOnce: number
  /** Who waits, by key; a key is here while something of it is under way. */
  readonly #waiting = new Map<string, { running: number; line: (() => void)[] }>()

  constructor(atOnce: number) {
    this.#atOnce = atOnce
  }

  async run<Result>(key: string, work: () => Promise<Result>): Promise<Result> {
    const turn = this.#waiting.get(key) ?? { running: 0, line: [] }
    this.#waiting.set(key, turn)
    if (turn.running < this.#atOnce) turn.running += 1
    // Whoever is done hands its place on: the count stays.
    else await new Promise<void>((resolve) => turn.line.push(resolve))
    try {
      return await work()
    } finally {
      const next = turn.line.shift()
      if (next) next()
      else turn.running -= 1
      if (turn.running === 0) this.#waiting.delete(key)
    }
  }
}
