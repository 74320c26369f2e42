import type { Fault, Faults } from './worlds/world.ts'

export const noFaults: Faults = () => undefined

/** Faults that befall `perMille` of all names; the same names for the same seed, whoever asks and in whatever order. */
export function randomFaults(seed: number, perMille: number): Faults {
  return (name): Fault | undefined => {
    const chance = hash(name, seed)
    if (chance % 1000 >= perMille) return undefined
    return chance % 3 === 0 ? 'is null' : 'throws'
  }
}

function hash(text: string, seed: number): number {
  let value = seed | 0
  for (const character of text) value = Math.imul(value ^ character.charCodeAt(0), 16_777_619)
  value = Math.imul(value ^ (value >>> 15), 2_246_822_519)
  return (value ^ (value >>> 13)) >>> 0
}
