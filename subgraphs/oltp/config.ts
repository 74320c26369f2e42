import { positiveInteger } from '#platform/config.ts'
import { subgraphConfig } from '#platform/subgraph/config.ts'
import { publicUrlSetting, trackingKeySettings } from '#platform/tracking/keys.ts'

/** Settings of the oltp subgraph; README.md lists them. */
export const oltpConfig = subgraphConfig('oltp', {
  asks: ['content', 'queue'],
  settings: {
    /** Largest mail taken in, in bytes of its raw form. */
    MAX_MESSAGE_BYTES: positiveInteger.default(25 * 1024 * 1024),
    /** Where recipients reach the gateway. */
    PUBLIC_URL: publicUrlSetting.default('http://127.0.0.1:4000'),
    ...trackingKeySettings,
  },
})
