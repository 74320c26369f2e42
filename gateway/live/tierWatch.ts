import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '#platform/log.ts'
import type { TierLive } from '../tiers/tierLive.ts'
import type { Bell } from './bell.ts'

const SHORTEST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000
const SPREAD_MS = 500
/** Subscribers who hear of everybody: staff. */
const EVERYBODY = '*'

/**
 * Listens to a tier's hints while somebody wants them, and rings those whom they concern. Each time it has begun to
 * listen it rings everybody: what was told before is lost.
 */
export class TierWatch {
  readonly #tier: TierLive
  readonly #log: Log
  readonly #bells = new Map<string, Set<Bell>>()
  #listening: AbortController | undefined

  constructor(tier: TierLive, log: Log) {
    this.#tier = tier
    this.#log = log
  }

  /** Rings a bell when something of a tenant's changes; of anybody's for null. Returns what ends it. */
  watch(tenantId: string | null, bell: Bell): () => void {
    const key = tenantId ?? EVERYBODY
    const bells = this.#bells.get(key) ?? new Set()
    this.#bells.set(key, bells.add(bell))
    if (!this.#listening) void this.#listen()
    return () => {
      bells.delete(bell)
      if (bells.size === 0 && this.#bells.get(key) === bells) this.#bells.delete(key)
      if (this.#bells.size === 0) this.close()
    }
  }

  close(): void {
    this.#listening?.abort()
    this.#listening = undefined
  }

  async #listen(): Promise<void> {
    const listening = new AbortController()
    const { signal } = listening
    this.#listening = listening
    let pause = SHORTEST_PAUSE_MS
    while (!signal.aborted) {
      try {
        let isNew = true
        for await (const line of this.#tier.hints(randomUUID(), signal)) {
          // The first line is an empty one: from here on nothing is missed.
          if (isNew) this.#ring(null)
          else if (line !== '') this.#ring(JSON.parse(line))
          isNew = false
          pause = SHORTEST_PAUSE_MS
        }
      } catch (error) {
        if (!signal.aborted) this.#log.info({ err: error }, 'a tier tells no changes; subscribers look by themselves')
      }
      await sleep(pause, undefined, { signal }).catch(() => {})
      pause = Math.min(LONGEST_PAUSE_MS, pause * 2)
    }
  }

  #ring(tenants: readonly string[] | null): void {
    if (tenants === null) {
      for (const bells of this.#bells.values()) for (const bell of bells) ringSoon(bell)
      return
    }
    for (const tenant of tenants) for (const bell of this.#bells.get(tenant) ?? []) bell.ring()
    if (tenants.length > 0) for (const bell of this.#bells.get(EVERYBODY) ?? []) bell.ring()
  }
}

/** Not everybody at the same moment: a tier that is back would be asked by all at once. */
function ringSoon(bell: Bell): void {
  setTimeout(() => bell.ring(), Math.random() * SPREAD_MS).unref()
}
