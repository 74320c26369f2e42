import { Redis } from 'ioredis'
import type { Log } from '#platform/log.ts'

/** Tells workers that a queue has work. A hint: workers poll anyway, so nothing here ever fails or waits. */
export type WakeUp = {
  announce: (queueNames: readonly string[]) => void
  /** Calls back whenever one of the queues is announced. Returns what ends it. */
  listen: (queueNames: readonly string[], onWake: () => void) => () => void
  close: () => void
}

const LONGEST_PAUSE_MS = 5_000

/** The channel of a queue; the hash tag keeps a queue's keys on one node of a cluster. */
export function wakeChannel(queueName: string): string {
  return `{queue:${queueName}}:wake`
}

/**
 * Wake-ups over Redis, or none without it. Redis may be away at any time, from the start too: one line in the log when
 * it goes, one when it is back.
 */
export function makeWakeUp(redisUrl: string | undefined, log: Log): WakeUp {
  if (!redisUrl) return { announce: () => {}, listen: () => () => {}, close: () => {} }
  const open: Redis[] = []
  const connect = (purpose: string) => {
    const redis = new Redis(redisUrl, {
      connectionName: purpose,
      // A wake-up that cannot be sent now is worth nothing later.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      commandTimeout: 1_000,
      retryStrategy: (attempt) => Math.min(LONGEST_PAUSE_MS, 100 * 2 ** Math.min(attempt, 6)),
    })
    reportOutages(redis, log)
    open.push(redis)
    return redis
  }
  const publisher = connect('queue-announce')
  return {
    announce(queueNames) {
      if (publisher.status !== 'ready') return
      for (const name of queueNames) publisher.publish(wakeChannel(name), '').catch(() => {})
    },
    listen(queueNames, onWake) {
      const subscriber = connect('queue-listen')
      // ioredis repeats subscriptions after a reconnect, but only those that once succeeded.
      subscriber.on('ready', () => {
        subscriber.subscribe(...queueNames.map(wakeChannel)).catch(() => {})
      })
      subscriber.on('message', onWake)
      return () => subscriber.disconnect()
    },
    close() {
      for (const redis of open) redis.disconnect()
    },
  }
}

function reportOutages(redis: Redis, log: Log): void {
  let isAway = false
  redis.on('error', (error) => {
    if (!isAway) log.warn({ err: error }, 'Redis is away; workers find their jobs by polling')
    isAway = true
  })
  redis.on('ready', () => {
    if (isAway) log.info('Redis is back')
    isAway = false
  })
}
