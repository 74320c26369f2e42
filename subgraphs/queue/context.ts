import type { SubgraphContext } from '#platform/subgraph/subgraph.ts'
import type { Database } from './database.ts'
import type { Enqueuer } from './engine/enqueuer.ts'
import type { WakeUp } from './engine/wakeUp.ts'
import { type Loaders, makeLoaders } from './loaders.ts'
import type { StaffReads } from './services/reader.ts'

/** What the tier holds for as long as it runs. */
export type Parts = { db: Database; wakeUp: WakeUp; enqueuer: Enqueuer; relay: { wake: () => void } }

/** What readers need of a request. */
export type ReadContext = SubgraphContext & Parts & { staffReads: StaffReads }

/** What every resolver and service of one request gets. */
export type Context = ReadContext & { loaders: Loaders }

/** Adds the tier's parts and the request's own loaders. */
export function makeContext(base: SubgraphContext, parts: Parts): Context {
  const context: ReadContext = { ...base, ...parts, staffReads: new Map() }
  return { ...context, loaders: makeLoaders(context) }
}
