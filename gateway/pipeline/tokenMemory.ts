import { LRUCache } from 'lru-cache'
import type { Client, TokenVerifier } from '../clientToken.ts'

/** So long a token that was good is taken for good without a look at its signature; a key withdrawn is felt within it. */
const MEMORY_MS = 60_000
const MAX_TOKENS = 10_000

/**
 * Remembers tokens that were found good, until they expire and for a minute at most: checking a signature costs more than
 * everything else the gateway does for a small query.
 */
export function rememberTokens(verify: TokenVerifier): TokenVerifier {
  const known = new LRUCache<string, Client>({ max: MAX_TOKENS, ttl: MEMORY_MS, ttlResolution: 0 })
  return async (authorization) => {
    const remembered = authorization === undefined ? undefined : known.get(authorization)
    if (remembered) return remembered
    const client = await verify(authorization)
    const ttl = Math.min(MEMORY_MS, client.expiresAt - Date.now())
    if (authorization !== undefined && ttl > 0) known.set(authorization, client, { ttl })
    return client
  }
}
