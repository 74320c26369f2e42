import type { z } from 'zod'
import { openTierDatabase } from '#platform/database/tierDatabase.ts'
import { makeServiceClient } from '#platform/graph/serviceClient.ts'
import { makeLog } from '#platform/log.ts'
import { type Relay, startRelay } from '#platform/outbox/relay.ts'
import { buildSubgraph, type Subgraph } from '#platform/subgraph/subgraph.ts'
import { PrismaClient } from '#prisma/analytics'
import type { analyticsConfig } from './config.ts'
import type { AnalyticsDatabase, Context } from './context.ts'
import { routes } from './events.ts'
import { makeLoaders } from './loaders.ts'
import { resolvers } from './resolvers.ts'
import { keepMonthPartitions } from './services/partitions.ts'

/** A batch of 1000 events or audit entries is larger than the platform's usual limit. */
const BODY_LIMIT_BYTES = 8 * 1024 * 1024

/** The third tier, answering but not listening yet: its subgraph, its database, its outbox's relay. */
export async function buildAnalytics(
  config: z.output<typeof analyticsConfig>,
): Promise<Subgraph & { db: AnalyticsDatabase }> {
  const log = makeLog('analytics', config.logLevel)
  const db = openTierDatabase(config.database, PrismaClient)
  let relay: Relay | undefined
  let partitions: { stop: () => void } | undefined
  const subgraph = await buildSubgraph<Context>({
    tier: 'analytics',
    schemaPath: new URL('schema.graphql', import.meta.url),
    resolvers,
    callerKeys: config.callerKeys,
    makeContext: (base) => ({ ...base, db, loaders: makeLoaders(db, base.caller) }),
    ready: () => db.systemSql.query('SELECT 1'),
    close: async () => {
      partitions?.stop()
      await relay?.stop()
      await db.close()
    },
    log,
    bodyLimit: BODY_LIMIT_BYTES,
  })
  partitions = keepMonthPartitions(db.systemSql, log)
  relay = startRelay({
    tier: 'analytics',
    systemSql: db.systemSql,
    queue: makeServiceClient(config.asks.queue),
    routes,
    log,
    registry: subgraph.metrics.registry,
  })
  return { ...subgraph, db }
}
