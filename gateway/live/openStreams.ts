import { AppError } from '#platform/errors.ts'

export type StreamLimits = { perTenant: number; perAddress: number }

const TRY_AGAIN_SECONDS = 10

/** The streams this gateway has open: so many of one tenant and from one address, and all of them ended when it stops. */
export class OpenStreams {
  readonly #limits: StreamLimits
  readonly #ends = new Set<() => void>()
  readonly #counts = new Map<string, number>()
  #isClosing = false

  constructor(limits: StreamLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#ends.size
  }

  /**
   * Counts a stream in; `end` ends it without the client's taking it for complete. Returns what counts it out.
   * @param tenant its id, or a member of staff's
   * @throws AppError LIMIT_REACHED, UNAVAILABLE while the gateway stops
   */
  add({ tenant, address }: { tenant: string; address: string }, end: () => void): () => void {
    if (this.#isClosing) throw new AppError('UNAVAILABLE', 'this gateway is about to stop: connect again')
    const { perTenant, perAddress } = this.#limits
    const counted: [string, number][] = [
      [`tenant ${tenant}`, perTenant],
      [`address ${address}`, perAddress],
    ]
    for (const [key, max] of counted) if ((this.#counts.get(key) ?? 0) >= max) throw tooMany(max)
    for (const [key] of counted) this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
    this.#ends.add(end)
    return () => {
      if (!this.#ends.delete(end)) return
      for (const [key] of counted) {
        const left = (this.#counts.get(key) ?? 1) - 1
        if (left > 0) this.#counts.set(key, left)
        else this.#counts.delete(key)
      }
    }
  }

  /** Ends all, and takes no more. */
  close(): void {
    this.#isClosing = true
    for (const end of this.#ends) end()
  }
}

function tooMany(max: number): AppError {
  return new AppError('LIMIT_REACHED', `at most ${max} streams may be open: end some first`, {
    extensions: { limit: 'streams', max, retryAfterSeconds: TRY_AGAIN_SECONDS },
  })
}
