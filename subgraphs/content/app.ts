import type { z } from 'zod'
import { PLATFORM_TENANT, runAsTenant } from '#platform/database/tenantScope.ts'
import { openTierDatabase } from '#platform/database/tierDatabase.ts'
import { makeServiceClient } from '#platform/graph/serviceClient.ts'
import { Hints } from '#platform/live/hints.ts'
import { addLiveRoutes } from '#platform/live/routes.ts'
import { type Log, makeLog } from '#platform/log.ts'
import { type Relay, startRelay } from '#platform/outbox/relay.ts'
import { buildSubgraph } from '#platform/subgraph/subgraph.ts'
import { PrismaClient } from '#prisma/content'
import type { contentConfig } from './config.ts'
import { makeContext } from './context.ts'
import { eventSources } from './eventSources.ts'
import { routes } from './events.ts'
import { addFileRoutes } from './fileRoutes.ts'
import { resolvers } from './resolvers.ts'
import { AccessRecorder } from './services/accessRecorder.ts'
import { removeExpiredFiles } from './services/files/expiredFiles.ts'
import { FileLinks } from './services/files/fileLinks.ts'
import { keepMonthPartitions } from './services/partitions.ts'
import { SearchIndexer } from './services/searchIndexer.ts'
import { TenantKeys } from './services/tenantKeys.ts'

export type ContentConfig = z.output<typeof contentConfig>

/** Builds the content tier (database, relay, subgraph) without listening; `subgraph.close` ends all of it. */
export async function buildContent(config: ContentConfig, log: Log = makeLog('content', config.logLevel)) {
  const {
    CONTENT_MASTER_KEY: masterKey,
    MAX_MESSAGE_BYTES: maxMessageBytes,
    MAX_UPLOAD_BYTES: maxUploadBytes,
    REDIS_URL: redisUrl,
  } = config.settings
  const db = openTierDatabase(config.database, PrismaClient)
  const keys = new TenantKeys(db, masterKey)
  const accesses = new AccessRecorder(db, log)
  const links = new FileLinks(masterKey)
  const hints = new Hints({ tier: 'content', pool: db.systemSql, redisUrl, log })
  const parts = { db, keys, links, accesses, hints, maxMessageBytes, maxUploadBytes }
  let relay: Relay | undefined
  let indexer: SearchIndexer | undefined
  let chores: { stop: () => void }[] = []
  const subgraph = await buildSubgraph({
    tier: 'content',
    schemaPath: new URL('schema.graphql', import.meta.url),
    resolvers,
    callerKeys: config.callerKeys,
    makeContext: (base) => makeContext(base, parts),
    ready: () => runAsTenant(PLATFORM_TENANT, () => db.tenantSql.query('SELECT 1')),
    close: async () => {
      for (const chore of chores) chore.stop()
      await Promise.all([relay?.stop(), indexer?.stop(), accesses.close()])
      hints.close()
      await db.close()
    },
    log,
    // Base64 takes four bytes for three; several mails may come at once, but never many of the largest.
    bodyLimit: Math.ceil(maxMessageBytes * 2.8) + 4 * 1024 * 1024,
  })
  addFileRoutes(subgraph.app, parts)
  addLiveRoutes(subgraph.app, { tier: 'content', callerKeys: config.callerKeys, hints, sources: eventSources(db) })
  chores = [keepMonthPartitions(db.systemSql, log), removeExpiredFiles(db.systemSql, log)]
  indexer = new SearchIndexer(db, keys, log)
  relay = startRelay({
    tier: 'content',
    systemSql: db.systemSql,
    queue: makeServiceClient(config.asks.queue),
    routes,
    log,
    registry: subgraph.metrics.registry,
  })
  return { subgraph, db, relay, keys, accesses, indexer }
}
