import type { Redis } from 'ioredis'
import { LRUCache } from 'lru-cache'
import type { Log } from '#platform/log.ts'
import { connectRedis } from '#platform/redis.ts'

/** Where answers are kept, as JSON text by their keys. Never rejects: what cannot be told is not there. */
export type AnswerStore = {
  get(key: string): Promise<string | undefined>
  set(key: string, text: string, seconds: number): void
  close(): void
}

/** A larger answer is not kept. */
const MAX_CHARACTERS = 1024 * 1024
/** What one gateway's memory may hold; characters. */
const MAX_MEMORY = 64 * 1024 * 1024
/** Asking for a kept answer takes no longer than this: asking the tiers is not much slower. */
const REDIS_TIMEOUT_MS = 50

/** In Redis, shared by all gateways, or in this gateway's memory without one. */
export function openAnswerStore(redisUrl: string | undefined, log: Log): AnswerStore {
  if (!redisUrl) return new MemoryStore()
  const whenAway = 'no answers are kept'
  return new RedisStore(
    connectRedis({ url: redisUrl, name: 'gateway-answers', timeoutMs: REDIS_TIMEOUT_MS, log, whenAway }),
  )
}

class MemoryStore implements AnswerStore {
  readonly #answers = new LRUCache<string, string>({
    maxSize: MAX_MEMORY,
    maxEntrySize: MAX_CHARACTERS,
    sizeCalculation: (text) => text.length + 1,
  })

  async get(key: string): Promise<string | undefined> {
    return this.#answers.get(key)
  }

  set(key: string, text: string, seconds: number): void {
    this.#answers.set(key, text, { ttl: seconds * 1000 })
  }

  close(): void {
    this.#answers.clear()
  }
}

class RedisStore implements AnswerStore {
  readonly #redis: Redis

  constructor(redis: Redis) {
    this.#redis = redis
  }

  async get(key: string): Promise<string | undefined> {
    return (await this.#redis.get(nameOf(key)).catch(() => null)) ?? undefined
  }

  set(key: string, text: string, seconds: number): void {
    if (text.length <= MAX_CHARACTERS) void this.#redis.set(nameOf(key), text, 'EX', seconds).catch(() => undefined)
  }

  close(): void {
    this.#redis.disconnect()
  }
}

function nameOf(key: string): string {
  return `answer:${key}`
}
