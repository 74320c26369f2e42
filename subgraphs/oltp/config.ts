import { positiveInteger } from '#platform/config.ts'
import { subgraphConfig } from '#platform/subgraph/config.ts'

/** Settings of the oltp subgraph; README.md lists them. */
export const oltpConfig = subgraphConfig('oltp', {
  asks: ['content', 'queue'],
  settings: {
    /** Largest mail taken in, in bytes of its raw form. */
    MAX_MESSAGE_BYTES: positiveInteger.default(25 * 1024 * 1024),
  },
})
