import type { Redis } from 'ioredis'
import type pg from 'pg'
import type { Tier } from '#platform/contracts/tiers.ts'
import { listen } from '#platform/database/listen.ts'
import type { Log } from '#platform/log.ts'
import { connectRedis } from '#platform/redis.ts'

/** Tenants of whom something has changed and is committed; null when it may be anybody. */
export type Hint = readonly string[] | null

export type HintOptions = {
  tier: Tier
  /** Carries hints where there is no Redis; of the system role. */
  pool: pg.Pool
  redisUrl?: string | undefined
  log: Log
}

/** One message for all changes of that time: PostgreSQL's notifying commits take turns, so they must be few. */
const PAUSE_MS = 100
/** PostgreSQL's notifications hold 8,000 bytes. */
const TENANTS_IN_A_MESSAGE = 150
/** A hint that cannot be sent now goes by PostgreSQL. */
const REDIS_TIMEOUT_MS = 1_000
const CHANNEL = 'live'
const NOTIFY = `SELECT pg_notify('${CHANNEL}', message) FROM unnest($1::text[]) AS message`
const EVERYBODY = '*'

/**
 * Tells all processes of a tier whose data has changed: by Redis while there is one, else by NOTIFY. Hints say nothing of
 * what has changed, may come for nothing, and may be lost: whoever listens looks for himself, and now and then without one.
 */
export class Hints {
  readonly #options: HintOptions
  readonly #publisher: Redis | undefined
  readonly #changed = new Set<string>()
  readonly #listeners = new Set<(hint: Hint) => void>()
  #timer: NodeJS.Timeout | undefined
  #sentAt = 0
  #endListening = () => {}

  constructor(options: HintOptions) {
    this.#options = options
    this.#publisher = options.redisUrl ? this.#connect(options.redisUrl, 'tell') : undefined
  }

  /** Something of a tenant's has changed and is committed; of anybody's without one. Never fails or waits. */
  tell(tenantId?: string | null): void {
    const whose = tenantId ?? EVERYBODY
    // Told for each of thousands of jobs a second: the rest is for the first of them.
    if (this.#changed.has(whose)) return
    this.#changed.add(whose.toLowerCase())
    this.#timer ??= setTimeout(() => this.#send(), Math.max(0, this.#sentAt + PAUSE_MS - performance.now()))
  }

  /** Calls back with every hint from now on, and with null after each time some may have been lost. Returns what ends it. */
  listen(onHint: (hint: Hint) => void): () => void {
    this.#listeners.add(onHint)
    if (this.#listeners.size === 1) this.#endListening = this.#beginListening()
    return () => {
      this.#listeners.delete(onHint)
      if (this.#listeners.size === 0) this.#endListening()
    }
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#listeners.clear()
    this.#endListening()
    this.#publisher?.disconnect()
  }

  #send(): void {
    this.#timer = undefined
    this.#sentAt = performance.now()
    const tenants = this.#changed.has(EVERYBODY) ? [EVERYBODY] : [...this.#changed]
    this.#changed.clear()
    const messages: string[] = []
    for (let from = 0; from < tenants.length; from += TENANTS_IN_A_MESSAGE) {
      messages.push(tenants.slice(from, from + TENANTS_IN_A_MESSAGE).join(' '))
    }
    const publisher = this.#publisher
    if (publisher?.status === 'ready') {
      for (const message of messages) publisher.publish(this.#channel, message).catch(() => this.#notify([message]))
    } else this.#notify(messages)
  }

  #notify(messages: string[]): void {
    this.#options.pool.query({ name: 'live', text: NOTIFY, values: [messages] }).catch(() => {})
  }

  get #channel(): string {
    return `${CHANNEL}:${this.#options.tier}`
  }

  /** To both: whoever tells may see Redis while we don't, or the other way round. */
  #beginListening(): () => void {
    const { pool, redisUrl } = this.#options
    const told = (message: string) => this.#hear(message === EVERYBODY ? null : message.split(' '))
    const lost = () => this.#hear(null)
    const endPostgres = listen(pool, { channel: CHANNEL, onNotification: told, onListening: lost })
    const subscriber = redisUrl ? this.#connect(redisUrl, 'hear') : undefined
    // ioredis repeats subscriptions after a reconnect, but only those that once succeeded.
    let isHeard = false
    subscriber?.on('ready', () => {
      isHeard = true
      subscriber.subscribe(this.#channel).then(lost, () => {})
    })
    // Not each time that it is looked for in vain.
    subscriber?.on('close', () => {
      if (isHeard) lost()
      isHeard = false
    })
    subscriber?.on('message', (_channel: string, message: string) => told(message))
    return () => {
      endPostgres()
      subscriber?.disconnect()
    }
  }

  #hear(hint: Hint): void {
    for (const listener of this.#listeners) listener(hint)
  }

  #connect(url: string, purpose: string): Redis {
    const { tier, log } = this.#options
    const name = `${tier}-live-${purpose}`
    return connectRedis({ url, name, timeoutMs: REDIS_TIMEOUT_MS, log, whenAway: 'changes are told by PostgreSQL' })
  }
}
