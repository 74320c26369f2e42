import type { Redis } from 'ioredis'
import type pg from 'pg'
import type { Log } from '#platform/log.ts'
import { connectRedis } from '#platform/redis.ts'
import { PostgresSignals } from './postgresSignals.ts'

/** Tells workers that a queue has work. A hint: workers poll anyway, so nothing here ever fails or waits. */
export type WakeUp = {
  announce: (queueNames: readonly string[]) => void
  /** Whether whoever enqueues now may notify PostgreSQL's listeners in the same statement, which saves a commit. */
  takeTurn: () => boolean
  /** Calls back with a queue's name whenever it is announced. Returns what ends it. */
  listen: (queueNames: readonly string[], onWake: (queueName: string) => void) => () => void
  close: () => void
}

/** A wake-up that cannot be sent now is worth nothing later. */
const REDIS_TIMEOUT_MS = 1_000

/** The channel of a queue; the hash tag keeps a queue's keys on one node of a cluster. */
export function wakeChannel(queueName: string): string {
  return `{queue:${queueName}}:wake`
}

/**
 * Wake-ups over Redis while there is one, else over PostgreSQL's LISTEN and NOTIFY (with `pool`), else none. Redis may be
 * away at any time, from the start too: one line in the log when it goes, one when it is back.
 */
export function makeWakeUp(redisUrl: string | undefined, log: Log, pool?: pg.Pool): WakeUp {
  const signals = pool && new PostgresSignals(pool)
  const redis = redisUrl ? new RedisSignals(redisUrl, log) : undefined
  return {
    announce(queueNames) {
      if (queueNames.length === 0) return
      if (redis?.isReady) redis.announce(queueNames)
      else signals?.announce(queueNames)
    },
    takeTurn: () => !redis?.isReady && signals?.takeTurn() === true,
    listen(queueNames, onWake) {
      // Both: whoever announces may see Redis while we don't, or the other way round.
      const ends = [redis?.listen(queueNames, onWake), signals?.listen(queueNames, onWake)]
      return () => {
        for (const end of ends) end?.()
      }
    },
    close() {
      redis?.close()
      signals?.close()
    },
  }
}

class RedisSignals {
  readonly #url: string
  readonly #log: Log
  readonly #open: Redis[] = []
  readonly #publisher: Redis

  constructor(url: string, log: Log) {
    this.#url = url
    this.#log = log
    this.#publisher = this.#connect('queue-announce')
  }

  get isReady(): boolean {
    return this.#publisher.status === 'ready'
  }

  announce(queueNames: readonly string[]): void {
    for (const name of queueNames) this.#publisher.publish(wakeChannel(name), '').catch(() => {})
  }

  listen(queueNames: readonly string[], onWake: (queueName: string) => void): () => void {
    const names = new Map(queueNames.map((name) => [wakeChannel(name), name]))
    const subscriber = this.#connect('queue-listen')
    // ioredis repeats subscriptions after a reconnect, but only those that once succeeded.
    subscriber.on('ready', () => {
      subscriber.subscribe(...names.keys()).catch(() => {})
    })
    subscriber.on('message', (channel: string) => {
      const name = names.get(channel)
      if (name) onWake(name)
    })
    return () => subscriber.disconnect()
  }

  close(): void {
    for (const redis of this.#open) redis.disconnect()
  }

  #connect(purpose: string): Redis {
    const redis = connectRedis({
      ...{ url: this.#url, name: purpose, timeoutMs: REDIS_TIMEOUT_MS, log: this.#log },
      whenAway: 'workers are woken by PostgreSQL',
    })
    this.#open.push(redis)
    return redis
  }
}
