import type pg from 'pg'
import type { Registry } from 'prom-client'
import { type DeliverJobs, deliverOverGraph } from '#platform/jobs/delivery.ts'
import type { Tier } from '../contracts/tiers.ts'
import type { ServiceClient } from '../graph/serviceClient.ts'
import type { Log } from '../log.ts'
import { type BatchOutcome, deliverBatch } from './batch.ts'
import { addOutboxMetrics } from './metrics.ts'
import type { OutboxRoute } from './route.ts'

/** Which job each event becomes. An event without a route is parked: it would never arrive. */
export type OutboxRoutes = Readonly<Record<string, OutboxRoute>>

export type RelayOptions = {
  tier: Tier
  /** Pool of the tier's system role: the relay serves all tenants. */
  systemSql: pg.Pool
  routes: OutboxRoutes
  log: Log
  /** Where the relay's numbers are shown. */
  registry?: Registry
} & ({ queue: ServiceClient } | { deliver: DeliverJobs })

export type Relay = {
  /** Something was committed: look now instead of at the next poll. */
  wake: () => void
  /** Delivers all that is due and returns; for tests and for a tidy end. */
  drain: () => Promise<void>
  /** Finishes the batch under way and stops. */
  stop: () => Promise<void>
}

export const BATCH_SIZE = 500
const POLL_MS = 250
const LONGEST_PAUSE_MS = 5_000

/**
 * Carries a tier's outbox to the queue, at least once: takes a batch under lock, enqueues it with the outbox id as key,
 * deletes what the queue has. Replicas skip each other's rows; a crash in between repeats a batch, and the queue's
 * receipts make that harmless. Polls, so a lost wake-up costs a quarter of a second.
 */
export function startRelay(options: RelayOptions): Relay {
  const { tier, systemSql, routes, log, registry } = options
  const deliver = 'deliver' in options ? options.deliver : deliverOverGraph(options.queue)
  if (registry) addOutboxMetrics(registry, systemSql)

  let stopping = false
  let woken = false
  /** Batches in a row of which the queue took nothing. */
  let refusals = 0
  let endPause = () => {}
  let lastBatch: Promise<unknown> = Promise.resolve()

  // One batch at a time, whoever asks: a drain beside the loop would find its rows locked and think there are none.
  const deliverNext = (): Promise<BatchOutcome> => {
    const next = lastBatch.then(() => deliverBatch({ tier, systemSql, routes, deliver, limit: BATCH_SIZE, log }))
    lastBatch = next.catch(() => undefined)
    return next
  }
  const pause = (milliseconds: number) =>
    new Promise<void>((resolve) => {
      if (woken || stopping) return resolve()
      const timer = setTimeout(resolve, milliseconds)
      endPause = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  const wake = () => {
    woken = true
    if (refusals === 0) endPause()
  }
  // A queue that takes nothing is not asked for every event there is: each would only be written to once more.
  const giveRest = (outcome: BatchOutcome): number => {
    refusals = outcome.taken > 0 && outcome.failed === outcome.taken ? refusals + 1 : 0
    if (refusals === 0) return outcome.taken < BATCH_SIZE ? POLL_MS : 0
    woken = false
    return Math.min(LONGEST_PAUSE_MS, POLL_MS * 2 ** (refusals - 1))
  }

  const loop = async () => {
    let failures = 0
    while (!stopping) {
      woken = false
      try {
        const outcome = await deliverNext()
        if (failures > 0) log.info({ failures }, 'the outbox relay works again')
        failures = 0
        const rest = giveRest(outcome)
        if (rest > 0) await pause(rest)
      } catch (error) {
        if (failures === 0) log.warn({ err: error }, 'the outbox relay cannot reach its database')
        failures += 1
        woken = false
        await pause(Math.min(LONGEST_PAUSE_MS, POLL_MS * 2 ** failures))
      }
    }
  }
  const running = loop()

  return {
    wake,
    drain: async () => {
      while ((await deliverNext()).taken > 0);
    },
    stop: async () => {
      stopping = true
      endPause()
      await running
      await lastBatch
    },
  }
}
