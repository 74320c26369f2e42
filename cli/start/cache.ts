import { canConnect, hasRedisServer, startRedis } from '#platform/local/redis.ts'
import { keepRunning } from './keepRunning.ts'
import type { Surroundings } from './service.ts'

/** Redis as it was found: its address, or null for none. */
export type Cache = { url: string | null; stop(): Promise<void> }

/** The Redis at REDIS_URL; else a redis-server of our own, if there is one on PATH; else none. Says which. */
export async function startCache(
  { lock, terminal }: Surroundings,
  { port, givenUrl }: { port: number; givenUrl: string | undefined },
): Promise<Cache> {
  if (givenUrl) {
    const reachable = await canConnect(givenUrl)
    if (reachable) terminal.step('Redis at REDIS_URL')
    else terminal.warn('nothing answers at REDIS_URL; going on without Redis until something does')
    return { url: givenUrl, stop: async () => {} }
  }
  if (!hasRedisServer()) {
    terminal.step('no Redis (no redis-server on PATH, REDIS_URL not set): all works, jobs start a little later')
    return { url: null, stop: async () => {} }
  }
  // Losing Redis costs speed, nothing else: no reason to stop the platform.
  const onLost = () => terminal.warn('Redis could not be started again; going on without it')
  const server = await keepRunning('redis', () => startRedis({ port }), { lock, terminal, onLost })
  terminal.step(`Redis on port ${port}`)
  return { url: server.first.url, stop: server.stop }
}
