import { z } from 'zod'
import type { CallerKeys } from '#platform/caller/caller.ts'
import {
  incomingEdgeSettings,
  incomingKeys,
  outgoingEdgeSettings,
  outgoingEdges,
  type ServiceEdge,
} from '#platform/caller/edges.ts'
import { databaseUrl, listenSettings, port, positiveInteger } from '#platform/config.ts'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'

/** Settings common to the four subgraphs; `settings` are the tier's own, under their variables' names. */
export type SubgraphConfig<Asked extends Tier, Own> = {
  host: string
  port: number
  logLevel: string
  /** What `openTierDatabase` takes. */
  database: { url: string; systemUrl: string; poolSize: number; statementTimeoutMs: number }
  callerKeys: CallerKeys
  /** The tiers it asks itself: what `makeServiceClient` takes. */
  asks: Record<Asked, ServiceEdge>
  settings: Own
}

type Output<Shape extends z.ZodRawShape> = z.output<z.ZodObject<Shape>>

/**
 * The schema of one subgraph's settings, for `readConfig` (a process) or `parseConfig` (a test).
 *
 *     export const contentConfig = subgraphConfig('content', {
 *       asks: ['queue'],
 *       settings: { CONTENT_MASTER_KEY: key32 },
 *     })
 */
export function subgraphConfig<const Asked extends Tier, Own extends z.ZodRawShape>(
  tier: Tier,
  { asks, settings }: { asks: readonly Asked[]; settings: Own },
) {
  const prefix = tier.toUpperCase()
  const common = {
    ...listenSettings,
    [`${prefix}_PORT`]: port.default(4001 + TIERS.indexOf(tier)),
    [`${prefix}_DATABASE_URL`]: databaseUrl,
    [`${prefix}_SYSTEM_DATABASE_URL`]: databaseUrl,
    DATABASE_POOL_SIZE: positiveInteger.default(10),
    DATABASE_STATEMENT_TIMEOUT_MS: positiveInteger.default(15_000),
    ...incomingEdgeSettings(tier),
    ...outgoingEdgeSettings(tier, asks),
  }
  const shape: z.ZodRawShape = { ...common, ...settings }
  return z.object(shape).transform((values): SubgraphConfig<Asked, Output<Own>> => {
    const own = Object.fromEntries(Object.keys(settings).map((name) => [name, values[name]]))
    return {
      host: String(values.HOST),
      port: Number(values[`${prefix}_PORT`]),
      logLevel: String(values.LOG_LEVEL),
      database: {
        url: String(values[`${prefix}_DATABASE_URL`]),
        systemUrl: String(values[`${prefix}_SYSTEM_DATABASE_URL`]),
        poolSize: Number(values.DATABASE_POOL_SIZE),
        statementTimeoutMs: Number(values.DATABASE_STATEMENT_TIMEOUT_MS),
      },
      callerKeys: incomingKeys(tier, values),
      asks: outgoingEdges(tier, asks, values),
      settings: own as Output<Own>,
    }
  })
}
