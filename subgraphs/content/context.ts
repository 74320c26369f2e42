import type { Hints } from '#platform/live/hints.ts'
import type { SubgraphContext } from '#platform/subgraph/subgraph.ts'
import type { Database } from './database.ts'
import { type Loaders, makeLoaders } from './loaders.ts'
import type { AccessRecorder } from './services/accessRecorder.ts'
import type { FileLinks } from './services/files/fileLinks.ts'
import type { TenantKeys } from './services/tenantKeys.ts'

/** What the tier holds for as long as it runs. */
export type Parts = {
  db: Database
  keys: TenantKeys
  links: FileLinks
  accesses: AccessRecorder
  hints: Pick<Hints, 'tell'>
  maxMessageBytes: number
  maxUploadBytes: number
}

/** What every resolver and service of one request gets. */
export type Context = SubgraphContext & Parts & { loaders: Loaders }

/** Adds the tier's parts and the request's own loaders. */
export function makeContext(base: SubgraphContext, parts: Parts): Context {
  return { ...base, ...parts, loaders: makeLoaders(parts) }
}
