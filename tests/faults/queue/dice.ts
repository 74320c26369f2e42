export type Dice = {
  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number
  /** True in `share` (0–1) of the calls. */
  chance(share: number): boolean
  pick<Item>(items: readonly Item[]): Item
  shuffle<Item>(items: readonly Item[]): Item[]
}

/** Dice that fall the same way for the same seed, whatever the clock and the machine (mulberry32). */
export function makeDice(seed: number): Dice {
  let state = seed >>> 0
  /** From 0, included, to 1, excluded. */
  const roll = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const between = (low: number, high: number) => low + Math.floor(roll() * (high - low + 1))
  return {
    between,
    chance: (share) => roll() < share,
    pick(items) {
      if (items.length === 0) throw new Error('nothing to pick from')
      return items[between(0, items.length - 1)] as (typeof items)[number]
    },
    shuffle(items) {
      const rest = [...items]
      return items.map(() => rest.splice(between(0, rest.length - 1), 1)[0] as (typeof items)[number])
    },
  }
}
