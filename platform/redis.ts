import { Redis } from 'ioredis'
import type { Log } from './log.ts'

const LONGEST_PAUSE_MS = 5_000

export type RedisOptions = {
  url: string
  /** What Redis shows as the connection's name. */
  name: string
  /** A command that takes longer has failed; milliseconds. */
  timeoutMs: number
  log: Log
  /** For the log, once for each outage: what happens without Redis. */
  whenAway: string
}

/**
 * A connection to a Redis that may be away at any time, from the start too: commands fail at once then, and it is looked
 * for at growing intervals. `disconnect` ends it.
 */
export function connectRedis({ url, name, timeoutMs, log, whenAway }: RedisOptions): Redis {
  const redis = new Redis(url, {
    connectionName: name,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: timeoutMs,
    // What a process still waits for after `disconnect`.
    disconnectTimeout: 100,
    retryStrategy: (attempt) => Math.min(LONGEST_PAUSE_MS, 100 * 2 ** Math.min(attempt, 6)),
  })
  let isAway = false
  redis.on('error', (error) => {
    if (!isAway) log.warn({ err: error }, `Redis is away; ${whenAway}`)
    isAway = true
  })
  redis.on('ready', () => {
    if (isAway) log.info('Redis is back')
    isAway = false
  })
  return redis
}
