import { setImmediate as nextTurn } from 'node:timers/promises'

type Waiting<Item, Result> = { item: Item; resolve(result: Result): void; reject(reason: unknown): void }

/**
 * Runs calls that come at the same time as one: a call that comes alone runs at once, those that come while a group of
 * the same key is under way wait and are the next group. What costs per call (a request, a transaction) is then paid per
 * group, and nobody waits for a clock. At most one group of a key runs at a time.
 */
export class GroupCommit<Item, Result> {
  readonly #run: (key: string, items: Item[]) => Promise<Result[]>
  readonly #maxItems: number
  readonly #isEverybodys: (error: unknown) => boolean
  /** Who waits, by key; a key is here while a group of it is under way. */
  readonly #waiting = new Map<string, Waiting<Item, Result>[]>()

  /**
   * `run` answers one result per item, in their order, or fails and has then done nothing. `isEverybodys` tells errors
   * that no item alone can be the cause of (who is asked is away): after them nothing is run again.
   */
  constructor(options: {
    run: (key: string, items: Item[]) => Promise<Result[]>
    maxItems: number
    isEverybodys?: (error: unknown) => boolean
  }) {
    this.#run = options.run
    this.#maxItems = options.maxItems
    this.#isEverybodys = options.isEverybodys ?? (() => false)
  }

  /** The item's own result. A group that fails is run again item by item, so that one's failure is only its own. */
  submit(key: string, item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      const call = { item, resolve, reject }
      const waiting = this.#waiting.get(key)
      if (waiting) {
        waiting.push(call)
      } else {
        const first = [call]
        this.#waiting.set(key, first)
        void this.#work(key, first)
      }
    })
  }

  async #work(key: string, waiting: Waiting<Item, Result>[]): Promise<void> {
    while (waiting.length > 0) {
      // What arrives in this turn of the event loop still comes along.
      await nextTurn()
      await this.#runGroup(key, waiting.splice(0, this.#maxItems))
    }
    this.#waiting.delete(key)
  }

  async #runGroup(key: string, group: Waiting<Item, Result>[]): Promise<void> {
    try {
      const items = group.map(({ item }) => item)
      const results = await this.#run(key, items)
      for (const [index, { resolve }] of group.entries()) resolve(results[index] as Result)
    } catch (error) {
      if (group.length === 1 || this.#isEverybodys(error)) for (const { reject } of group) reject(error)
      else for (const call of group) await this.#runGroup(key, [call])
    }
  }
}
