import { createHash } from 'node:crypto'

/** A number from 0 up to 1 that depends on nothing but these words: the same words always throw the same. */
export function throwDice(...words: readonly string[]): number {
  return createHash('sha256').update(JSON.stringify(words)).digest().readUIntBE(0, 6) / 2 ** 48
}

/** Which of the shares a throw fell into; null for the rest of the whole. */
export function pickShare<Name extends string>(
  thrown: number,
  shares: readonly (readonly [Name, number])[],
): Name | null {
  let upTo = 0
  for (const [name, share] of shares) {
    upTo += share
    if (thrown < upTo) return name
  }
  return null
}

/** One of the items, by a throw. */
export function pickOne<Item>(thrown: number, items: readonly Item[]): Item {
  return items[Math.floor(thrown * items.length)] as Item
}

/** A span between two others, the shorter the likelier, as people and machines take their time. */
export function spread(thrown: number, shortest: number, longest: number): number {
  return Math.round(shortest * (longest / shortest) ** thrown)
}
