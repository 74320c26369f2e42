import { createHash } from 'node:crypto'

/**
 * Which addresses a file has had so far: 8 bytes of a hash each, so that a million take 32 MB at most. Two addresses
 * with one hash (once in ten million files of a million rows) only make a lead keep what it has.
 */
export class SeenAddresses {
  readonly #high: Uint32Array
  readonly #low: Uint32Array
  readonly #mask: number

  /** @param most rows of the file */
  constructor(most: number) {
    const slots = 2 ** Math.ceil(Math.log2(Math.max(16, most * 2)))
    this.#high = new Uint32Array(slots)
    this.#low = new Uint32Array(slots)
    this.#mask = slots - 1
  }

  has(address: string): boolean {
    const { high, low, slot } = this.#find(address)
    return this.#high[slot] === high && this.#low[slot] === low
  }

  add(address: string): void {
    const { high, low, slot } = this.#find(address)
    this.#high[slot] = high
    this.#low[slot] = low
  }

  /** Where the address is, or would be. */
  #find(address: string) {
    const digest = createHash('sha1').update(address.trim().toLowerCase()).digest()
    const high = digest.readUInt32LE(0)
    // A slot of two zeros is free.
    const low = digest.readUInt32LE(4) || 1
    let slot = digest.readUInt32LE(8) & this.#mask
    while (this.#low[slot] !== 0 && !(this.#high[slot] === high && this.#low[slot] === low)) {
      slot = (slot + 1) & this.#mask
    }
    return { high, low, slot }
  }
}
