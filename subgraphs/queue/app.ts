import type { z } from 'zod'
import { findCurrentTenant } from '#platform/database/tenantScope.ts'
import { openTierDatabase } from '#platform/database/tierDatabase.ts'
import type { DeliverJobs } from '#platform/jobs/delivery.ts'
import { Hints } from '#platform/live/hints.ts'
import { addLiveRoutes } from '#platform/live/routes.ts'
import { type Log, makeLog } from '#platform/log.ts'
import { type Relay, startRelay } from '#platform/outbox/relay.ts'
import { buildSubgraph } from '#platform/subgraph/subgraph.ts'
import { PrismaClient } from '#prisma/queue'
import type { queueConfig } from './config.ts'
import { makeContext } from './context.ts'
import { Enqueuer } from './engine/enqueuer.ts'
import { makeWakeUp } from './engine/wakeUp.ts'
import { routes } from './events.ts'
import { type Monitoring, startAlerts } from './monitoring.ts'
import { addQueueMetrics } from './queueMetrics.ts'
import { resolvers } from './resolvers/resolvers.ts'

export type QueueConfig = z.output<typeof queueConfig>

/** A batch of 1000 jobs with payloads is larger than the platform's usual limit. */
const BODY_LIMIT_BYTES = 16 * 1024 * 1024

/** Builds the queue tier (database, relay, subgraph) without listening; `subgraph.close` ends all of it. */
export async function buildQueue(config: QueueConfig, log: Log = makeLog('queue', config.logLevel)) {
  const db = openTierDatabase(config.database, PrismaClient)
  const wakeUp = makeWakeUp(config.settings.REDIS_URL, log, db.systemSql)
  let relay: Relay | undefined
  let alerts: Monitoring | undefined
  const hints = new Hints({ tier: 'queue', pool: db.systemSql, redisUrl: config.settings.REDIS_URL, log })
  const enqueuer = new Enqueuer(db.systemSql, wakeUp, (tenantId) => hints.tell(tenantId))
  const changed = () => {
    relay?.wake()
    // Whoever wakes the relay has changed something: of the tenant in scope or, as staff, of anybody's.
    hints.tell(findCurrentTenant())
  }
  const parts = { db, wakeUp, enqueuer, relay: { wake: changed } }
  const subgraph = await buildSubgraph({
    tier: 'queue',
    schemaPath: new URL('schema.graphql', import.meta.url),
    resolvers,
    callerKeys: config.callerKeys,
    makeContext: (base) => makeContext(base, parts),
    ready: () => db.systemSql.query('SELECT 1'),
    close: async () => {
      alerts?.stop()
      await relay?.stop()
      wakeUp.close()
      hints.close()
      await db.close()
    },
    log,
    bodyLimit: BODY_LIMIT_BYTES,
  })
  addLiveRoutes(subgraph.app, { tier: 'queue', callerKeys: config.callerKeys, hints })
  const { registry } = subgraph.metrics
  // Its own announcements need no detour over the graph: the queue is at hand.
  const deliver: DeliverJobs = (jobs) => enqueuer.enqueueAll(jobs)
  relay = startRelay({ tier: 'queue', systemSql: db.systemSql, deliver, routes, log, registry })
  // Here as well as in the workers: that none of those lives is what nobody else could notice.
  alerts = startAlerts({ pool: db.systemSql, log, onAlert: () => relay?.wake() })
  addQueueMetrics(registry, db.systemSql)
  return { subgraph, db, relay, wakeUp }
}
