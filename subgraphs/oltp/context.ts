import type { ServiceClient } from '#platform/graph/serviceClient.ts'
import type { Relay } from '#platform/outbox/relay.ts'
import type { SubgraphContext } from '#platform/subgraph/subgraph.ts'
import type { Database } from './database.ts'
import { type Loaders, makeLoaders } from './loaders.ts'
import type { MailGroups } from './services/mailFlow/mailGroups.ts'

/** What the tier holds for as long as it runs. */
export type Parts = {
  db: Database
  content: ServiceClient
  relay: Pick<Relay, 'wake'>
  mailGroups: MailGroups
  maxMessageBytes: number
}

/** What every resolver and service of one request gets. */
export type Context = SubgraphContext & Parts & { loaders: Loaders }

/** Adds the tier's parts and the request's own loaders. */
export function makeContext(base: SubgraphContext, parts: Parts): Context {
  return { ...base, ...parts, loaders: makeLoaders(parts.db) }
}
