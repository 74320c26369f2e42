import { en, Faker, generateMersenne53Randomizer } from '@faker-js/faker'
import { v7 as uuidv7 } from 'uuid'

/** Made-up data that is the same for the same seed: names and numbers from `fake`, ids from `id()`. */
export type Random = {
  fake: Faker
  /** A UUIDv7 of this seed: the n-th call always gives the same id. */
  id(): string
  /** True in `share` (0–1) of the calls. */
  chance(share: number): boolean
}

/** Ids count up from here, one millisecond each, so that they are ordered without depending on the clock. */
const FIRST_ID_MS = Date.UTC(2025, 0, 1)

export function makeRandom(seed: number): Random {
  const fake = new Faker({ locale: [en], randomizer: generateMersenne53Randomizer(seed) })
  let issued = 0
  return {
    fake,
    id: () =>
      uuidv7({
        msecs: FIRST_ID_MS + issued++,
        seq: 0,
        random: Uint8Array.from({ length: 16 }, () => fake.number.int(255)),
      }),
    chance: (share) => fake.datatype.boolean(share),
  }
}
