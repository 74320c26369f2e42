import { OperationTypeNode } from 'graphql'
import { Counter, type Registry } from 'prom-client'
import type { Log } from '#platform/log.ts'
import type { Operation, Outcome } from '../execution/operation.ts'
import type { GatewayContext } from '../tiers/context.ts'
import { keyOfKept, keyOfOwn } from './answerKey.ts'
import { type AnswerStore, openAnswerStore } from './answerStore.ts'

export type SharingOptions = {
  /** Whether answers are kept whose operation may be. */
  cache: boolean
  /** Whether a query that is just being answered is not asked again, for the same user. */
  inFlight: boolean
  redisUrl?: string | undefined
  registry: Registry
  log: Log
}

/** Runs an operation, or answers with what another request had. Mutations always run. */
export type RunOperation = (
  operation: Operation<GatewayContext>,
  variables: unknown,
  context: GatewayContext,
) => Promise<Outcome>

/** One answer for several requests: for those that come at once, and for those that come soon after. */
export function openSharedAnswers(options: SharingOptions): { run: RunOperation; close: () => void } {
  const { cache, inFlight, redisUrl, registry, log } = options
  const runAlways: RunOperation = (operation, variables, context) => operation.run(variables, context)
  if (!cache && !inFlight) return { run: runAlways, close: () => {} }
  const answers = new Counter({
    name: 'gateway_query_answers_total',
    help: 'Answers to queries, by where they were had from',
    labelNames: ['from'] as const,
    registers: [registry],
  })
  const count = (from: 'tiers' | 'another request' | 'cache') => answers.inc({ from })
  const runCounted: RunOperation = (operation, variables, context) => {
    count('tiers')
    return operation.run(variables, context)
  }
  const runOnce = inFlight ? joinOthers(runCounted, () => count('another request')) : runCounted
  const store = cache ? openAnswerStore(redisUrl, log) : undefined
  const runQuery = store ? keepAnswers(runOnce, store, () => count('cache')) : runOnce
  return {
    run: (operation, ...rest) =>
      (operation.kind === OperationTypeNode.QUERY ? runQuery : runAlways)(operation, ...rest),
    close: () => store?.close(),
  }
}

/** Waits for the same user's same query where one is under way. */
function joinOthers(run: RunOperation, onJoined: () => void): RunOperation {
  const underWay = new Map<string, Promise<Outcome>>()
  return (operation, variables, context) => {
    const key = keyOfOwn(operation.id, variables, context.caller)
    const other = underWay.get(key)
    if (other) {
      onJoined()
      return other
    }
    const own = run(operation, variables, context).finally(() => underWay.delete(key))
    underWay.set(key, own)
    return own
  }
}

/** Answers with what is kept, and keeps what may be. */
function keepAnswers(run: RunOperation, store: AnswerStore, onKept: () => void): RunOperation {
  return async (operation, variables, context) => {
    const { cachePolicy } = operation
    if (cachePolicy.maxAgeSeconds <= 0) return run(operation, variables, context)
    const key = keyOfKept(operation.id, variables, context.caller, cachePolicy)
    const kept = await store.get(key)
    if (kept !== undefined) {
      onKept()
      return { data: kept, faults: [] }
    }
    const outcome = await run(operation, variables, context)
    // Half an answer is not kept: the next one may be whole.
    if ('data' in outcome && outcome.data !== null && outcome.faults.length === 0) {
      store.set(key, outcome.data, cachePolicy.maxAgeSeconds)
    }
    return outcome
  }
}
