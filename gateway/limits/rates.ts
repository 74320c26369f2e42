import type { Redis } from 'ioredis'
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'
import type { Log } from '#platform/log.ts'
import { connectRedis } from '#platform/redis.ts'

const WINDOW_SECONDS = 60
/** One that does not answer within this is as good as away: asking takes no longer than this. */
const REDIS_TIMEOUT_MS = 100

export type RateOptions = {
  /** Shared by all gateways; without it, or while it is away, each counts for itself. */
  redisUrl?: string | undefined
  /** Requests a minute of one tenant; of staff, of one person. */
  perTenant: number
  /** Requests a minute from one address, whoever it says it is. */
  perAddress: number
  log: Log
}

/** Whether a request may go on, and what to tell its sender of the limit that stands. */
export type Rate = { allowed: boolean; headers: RateHeaders }
export type RateHeaders = Readonly<Record<string, string>>

/** Counts requests by the minute: by the address they come from, and by the tenant that asks. */
export class Rates {
  readonly #redis: Redis | undefined
  readonly #address: RateLimiterMemory
  readonly #tenant: RateLimiterMemory | RateLimiterRedis

  constructor({ redisUrl, perTenant, perAddress, log }: RateOptions) {
    this.#redis = redisUrl
      ? connectRedis({
          ...{ url: redisUrl, name: 'gateway-rates', timeoutMs: REDIS_TIMEOUT_MS, log },
          whenAway: 'this gateway counts requests for itself',
        })
      : undefined
    // Floods are held off by each gateway for itself: that costs nobody a question to Redis.
    this.#address = makeMemory('address', perAddress)
    this.#tenant = makeLimiter(this.#redis, 'tenant', perTenant)
  }

  /** Whether it counts together with other gateways just now. */
  get isShared(): boolean {
    return this.#redis?.status === 'ready'
  }

  /** Counts a request from an address. To be asked before anything else is looked at. */
  countAddress(address: string): Promise<Rate> {
    return count(this.#address, address)
  }

  /** Counts a request of a tenant, or of a member of staff, by its id. */
  countTenant(id: string): Promise<Rate> {
    return count(this.#tenant, id)
  }

  close(): void {
    this.#redis?.disconnect()
  }
}

async function count(limiter: RateLimiterMemory | RateLimiterRedis, key: string): Promise<Rate> {
  try {
    return describe(limiter.points, await limiter.consume(key), true)
  } catch (refusal) {
    if (refusal instanceof RateLimiterRes) return describe(limiter.points, refusal, false)
    throw refusal
  }
}

/** Fields of the IETF's draft on rate limits, in the form in which most clients read them. */
function describe(points: number, { remainingPoints, msBeforeNext }: RateLimiterRes, allowed: boolean): Rate {
  const seconds = String(Math.max(1, Math.ceil(msBeforeNext / 1000)))
  return {
    allowed,
    headers: {
      'RateLimit-Policy': `${points};w=${WINDOW_SECONDS}`,
      'RateLimit-Limit': String(points),
      'RateLimit-Remaining': String(Math.max(0, remainingPoints)),
      'RateLimit-Reset': seconds,
      ...(!allowed && { 'Retry-After': seconds }),
    },
  }
}

function makeLimiter(redis: Redis | undefined, name: string, points: number): RateLimiterMemory | RateLimiterRedis {
  const own = makeMemory(name, points)
  if (!redis) return own
  return new RateLimiterRedis({
    storeClient: redis,
    // The hash tag keeps a cluster's keys of one kind together.
    keyPrefix: `{rate:${name}}`,
    points,
    duration: WINDOW_SECONDS,
    // Who is over the limit is refused from memory: a flood costs Redis nothing.
    inMemoryBlockOnConsumed: points + 1,
    insuranceLimiter: own,
    rejectIfRedisNotReady: true,
  })
}

function makeMemory(name: string, points: number): RateLimiterMemory {
  return new RateLimiterMemory({ keyPrefix: name, points, duration: WINDOW_SECONDS })
}
