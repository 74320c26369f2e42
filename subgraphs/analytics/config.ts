import { subgraphConfig } from '#platform/subgraph/config.ts'

/** The settings of the analytics tier; README.md lists them. */
export const analyticsConfig = subgraphConfig('analytics', { asks: ['queue'], settings: {} })
