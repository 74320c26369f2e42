import { setTimeout as sleep } from 'node:timers/promises'
import type { Contender } from './contender.ts'

const LONGEST_ROUND_MS = 180_000

/** Which of a round's jobs have run: each must, and only once, or the round's figure means nothing. */
export class JobCount {
  readonly #expected: number
  readonly #seen: Uint8Array
  #ran = 0
  #repeated = 0
  #onAll = () => {}
  readonly #all: Promise<void>

  constructor(expected: number) {
    this.#expected = expected
    this.#seen = new Uint8Array(expected)
    this.#all = new Promise((resolve) => {
      this.#onAll = resolve
    })
  }

  /** Jobs beyond the expected ones are none of its business. */
  readonly run = (job: number): void => {
    if (job >= this.#expected) return
    if (this.#seen[job]) this.#repeated += 1
    else this.#ran += 1
    this.#seen[job] = 1
    if (this.#ran === this.#expected) this.#onAll()
  }

  /** @throws Error when they have not all run after three minutes, or one ran twice */
  async untilAllRan(name: string): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`${name}: ${this.#ran} jobs of ${this.#expected} ran`)),
        LONGEST_ROUND_MS,
      )
    })
    await Promise.race([this.#all, late]).finally(() => clearTimeout(timer))
    if (this.#repeated > 0) throw new Error(`${name}: ${this.#repeated} jobs ran twice`)
  }
}

/** Waits until the queue has written that its jobs are done. */
export async function untilDone({ name, isDone }: Pick<Contender, 'name' | 'isDone'>): Promise<void> {
  const deadline = performance.now() + LONGEST_ROUND_MS
  while (!(await isDone())) {
    if (performance.now() > deadline) throw new Error(`${name}: jobs are still open`)
    await sleep(2)
  }
}
