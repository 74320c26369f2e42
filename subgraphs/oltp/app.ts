import type { z } from 'zod'
import { PLATFORM_TENANT, runAsTenant } from '#platform/database/tenantScope.ts'
import { openTierDatabase } from '#platform/database/tierDatabase.ts'
import { makeServiceClient } from '#platform/graph/serviceClient.ts'
import { Hints } from '#platform/live/hints.ts'
import { addLiveRoutes } from '#platform/live/routes.ts'
import { type Log, makeLog } from '#platform/log.ts'
import { startRelay } from '#platform/outbox/relay.ts'
import { buildSubgraph } from '#platform/subgraph/subgraph.ts'
import { trackingKeys } from '#platform/tracking/keys.ts'
import { openVault } from '#platform/vault.ts'
import { PrismaClient } from '#prisma/oltp'
import type { oltpConfig } from './config.ts'
import { makeContext } from './context.ts'
import { routes } from './events.ts'
import { eventSources, tellingRelay } from './live.ts'
import { resolvers } from './resolvers.ts'
import { makeDomainLookup } from './services/domains/domainLookup.ts'
import { mailHosts } from './services/domains/domainRecords.ts'
import { makeMailGroups } from './services/mailFlow/mailGroups.ts'
import { makeMailRenderer } from './services/rendering/renderMail.ts'

export type OltpConfig = z.output<typeof oltpConfig>

/** Builds the oltp tier (database, relay, subgraph) without listening; `close` ends all of it. */
export async function buildOltp(config: OltpConfig, log: Log = makeLog('oltp', config.logLevel)) {
  const db = openTierDatabase(config.database, PrismaClient)
  const content = makeServiceClient(config.asks.content)
  const relay = startRelay({
    tier: 'oltp',
    systemSql: db.systemSql,
    queue: makeServiceClient(config.asks.queue),
    routes,
    log,
  })
  const maxMessageBytes = config.settings.MAX_MESSAGE_BYTES
  const tracking = { publicUrl: config.settings.PUBLIC_URL, keys: trackingKeys(config.settings) }
  const mailRenderer = makeMailRenderer(tracking)
  const { VAULT, DNS_SERVERS, MAIL_DOMAIN, ALLOW_INSIDE_MAIL_SERVERS, REDIS_URL: redisUrl } = config.settings
  const hints = new Hints({ tier: 'oltp', pool: db.systemSql, redisUrl, log })
  const parts = {
    ...{ db, content, mailGroups: makeMailGroups(db, content), maxMessageBytes, tracking, mailRenderer },
    relay: tellingRelay(hints, () => relay.wake()),
    vault: openVault(VAULT),
    domainLookup: makeDomainLookup(DNS_SERVERS),
    mailHosts: mailHosts(MAIL_DOMAIN),
    allowsInsideServers: ALLOW_INSIDE_MAIL_SERVERS,
  }
  const subgraph = await buildSubgraph({
    tier: 'oltp',
    schemaPath: new URL('schema.graphql', import.meta.url),
    resolvers,
    callerKeys: config.callerKeys,
    makeContext: (base) => makeContext(base, parts),
    ready: () => runAsTenant(PLATFORM_TENANT, () => db.tenantSql.query('SELECT 1')),
    close: async () => {
      await relay.stop()
      hints.close()
      await db.close()
    },
    log,
    // Base64 takes four bytes for three; with room for a mail that is a little over the limit, so that it is told so.
    bodyLimit: Math.ceil(maxMessageBytes * 1.4) + 1024 * 1024,
  })
  addLiveRoutes(subgraph.app, { tier: 'oltp', callerKeys: config.callerKeys, hints, sources: eventSources(db) })
  return { subgraph, db, relay }
}
