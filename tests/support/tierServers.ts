import { parseConfig } from '#platform/config.ts'
import type { Tier } from '#platform/contracts/tiers.ts'
import type { ProcessSettings } from '#platform/local/environment.ts'
import type { Subgraph } from '#platform/subgraph/subgraph.ts'

/** A tier's server in this process, listening; `close` ends its connections and its relay too. */
export type TierServer = { url: string; close(): Promise<void> }

/** Starts one tier as its own server.ts would, with these settings. Loads only that tier's code. */
export async function startTierServer(tier: Tier, settings: ProcessSettings): Promise<TierServer> {
  const port = Number(settings[`${tier.toUpperCase()}_PORT`])
  const built = await buildTier[tier](settings)
  const subgraph = 'subgraph' in built ? built.subgraph : built
  await subgraph.app.listen({ host: '127.0.0.1', port })
  return { url: `http://127.0.0.1:${port}/graphql`, close: subgraph.close }
}

/** Some tiers hand out more than their subgraph. */
type Built = Subgraph | { subgraph: Subgraph }

const buildTier: Record<Tier, (settings: ProcessSettings) => Promise<Built>> = {
  async oltp(settings) {
    const { buildOltp } = await import('../../subgraphs/oltp/app.ts')
    const { oltpConfig } = await import('../../subgraphs/oltp/config.ts')
    return buildOltp(parseConfig(oltpConfig, settings))
  },
  async content(settings) {
    const { buildContent } = await import('../../subgraphs/content/app.ts')
    const { contentConfig } = await import('../../subgraphs/content/config.ts')
    return buildContent(parseConfig(contentConfig, settings))
  },
  async analytics(settings) {
    const { buildAnalytics } = await import('../../subgraphs/analytics/app.ts')
    const { analyticsConfig } = await import('../../subgraphs/analytics/config.ts')
    return buildAnalytics(parseConfig(analyticsConfig, settings))
  },
  async queue(settings) {
    const { buildQueue } = await import('../../subgraphs/queue/app.ts')
    const { queueConfig } = await import('../../subgraphs/queue/config.ts')
    return buildQueue(parseConfig(queueConfig, settings))
  },
}
