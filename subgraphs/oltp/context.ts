import type { ServiceClient } from '#platform/graph/serviceClient.ts'
import type { Relay } from '#platform/outbox/relay.ts'
import type { SubgraphContext } from '#platform/subgraph/subgraph.ts'
import type { TrackingOptions } from '#platform/tracking/links.ts'
import type { Vault } from '#platform/vault.ts'
import type { Database } from './database.ts'
import { type Loaders, makeLoaders } from './loaders.ts'
import type { DomainLookup } from './services/domains/domainLookup.ts'
import type { MailHosts } from './services/domains/domainRecords.ts'
import type { MailGroups } from './services/mailFlow/mailGroups.ts'
import type { MailRenderer } from './services/rendering/renderMail.ts'

/** What the tier holds for as long as it runs. */
export type Parts = {
  db: Database
  content: ServiceClient
  relay: Pick<Relay, 'wake'>
  mailGroups: MailGroups
  maxMessageBytes: number
}

/** What the subgraph holds besides: it also writes mails, which the door for incoming ones doesn't. */
export type WritingParts = {
  /** Where links in mails lead, and what they are signed with. */
  tracking: TrackingOptions
  mailRenderer: MailRenderer
  vault: Vault
  domainLookup: DomainLookup
  /** Names of ours that tenants' DNS points to. */
  mailHosts: MailHosts
  /** Whether tenants' mail servers may be in our own networks. */
  allowsInsideServers: boolean
}

/** What taking in a mail needs, through whichever door it came. */
export type IncomingContext = SubgraphContext & Parts & { loaders: Loaders }

/** What every resolver and service of one request gets. */
export type Context = IncomingContext & WritingParts

/** Adds the tier's parts and the request's own loaders. */
export function makeContext<Own extends Parts>(base: SubgraphContext, parts: Own) {
  return { ...base, ...parts, loaders: makeLoaders(parts.db) }
}
