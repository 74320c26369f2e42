import type { FastifyInstance } from 'fastify'
import { Gauge } from 'prom-client'
import { TIERS } from '#platform/contracts/tiers.ts'
import type { Log } from '#platform/log.ts'
import type { Metrics } from '#platform/metrics.ts'
import type { GatewayConfig } from '../config.ts'
import type { Admission, Engine } from '../pipeline/engine.ts'
import type { Pipeline } from '../pipeline/pipeline.ts'
import type { PersistedQueries } from '../registry/persistedQueries.ts'
import { TierLive } from '../tiers/tierLive.ts'
import { addLiveDoor } from './door.ts'
import { OpenStreams } from './openStreams.ts'
import { Subscriptions } from './subscriptions.ts'
import { TierWatch } from './tierWatch.ts'

export type LiveOptions = {
  engine: Engine
  admit: Admission
  pipeline: Pipeline
  persisted: PersistedQueries
  maxTokens: number
  metrics: Metrics
  log: Log
  config: Pick<GatewayConfig, 'tiers' | 'tierTimeoutMs' | 'streams' | 'streamStallMs'>
}

/** Opens the door for subscriptions. It asks no tier before somebody subscribes. */
export function openLive(app: FastifyInstance, options: LiveOptions) {
  const { engine, admit, pipeline, persisted, maxTokens, metrics, log, config } = options
  const streams = new OpenStreams(config.streams)
  const tiers = new Map(
    TIERS.map((name) => {
      const live = new TierLive(config.tiers[name], { timeoutMs: config.tierTimeoutMs })
      return [name, { live, watch: new TierWatch(live, log) }]
    }),
  )
  const subscriptions = new Subscriptions({ engine, admit, tiers, maxTokens })
  addLiveDoor(app, { pipeline, persisted, subscriptions, streams, stallMs: config.streamStallMs })
  new Gauge({
    name: 'graphql_streams',
    help: 'Subscriptions that are open',
    registers: [metrics.registry],
    collect() {
      this.set(streams.size)
    },
  })
  return {
    /** Ends every stream; their clients connect again. */
    end: () => streams.close(),
    async close() {
      for (const { watch } of tiers.values()) watch.close()
      await Promise.all([...tiers.values()].map(({ live }) => live.close()))
    },
  }
}
