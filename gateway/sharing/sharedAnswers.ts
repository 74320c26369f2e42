import { OperationTypeNode } from 'graphql'
import { Counter, type Registry } from 'prom-client'
import type { Operation, Outcome } from '../execution/operation.ts'
import type { GatewayContext } from '../tiers/context.ts'
import { keyOfKept, keyOfOwn } from './answerKey.ts'
import type { AnswerStore } from './answerStore.ts'

export type SharingOptions = {
  /** Where answers are kept whose operation may be; none are kept without it. */
  store?: AnswerStore | undefined
  /** Whether a query that is just being answered is not asked again, for the same user. */
  inFlight: boolean
  registry: Registry
}

/** Runs an operation, or answers with what another request had. Mutations always run. */
export type RunOperation = (
  operation: Operation<GatewayContext>,
  variables: unknown,
  context: GatewayContext,
) => Promise<Outcome>

export const runAlways: RunOperation = (operation, variables, context) => operation.run(variables, context)

/** One answer for several requests: for those that come at once, and for those that come soon after. */
export function makeRunShared({ store, inFlight, registry }: SharingOptions): RunOperation {
  const answers = new Counter({
    name: 'gateway_query_answers_total',
    help: 'Answers to queries, by where they were had from',
    labelNames: ['from'] as const,
    registers: [registry],
  })
  const underWay = new Map<string, Promise<Outcome>>()

  const runOnce: RunOperation = (operation, variables, context) => {
    const key = keyOfOwn(operation.id, variables, context.caller)
    const other = underWay.get(key)
    if (other) {
      answers.inc({ from: 'another request' })
      return other
    }
    answers.inc({ from: 'tiers' })
    const own = operation.run(variables, context).finally(() => underWay.delete(key))
    underWay.set(key, own)
    return own
  }

  const runCounted: RunOperation = (operation, variables, context) => {
    answers.inc({ from: 'tiers' })
    return operation.run(variables, context)
  }

  const run = inFlight ? runOnce : runCounted
  return async (operation, variables, context) => {
    if (operation.kind !== OperationTypeNode.QUERY) return operation.run(variables, context)
    const { cachePolicy } = operation
    if (!store || cachePolicy.maxAgeSeconds <= 0) return run(operation, variables, context)
    const key = keyOfKept(operation.id, variables, context.caller, cachePolicy)
    const kept = await store.get(key)
    if (kept !== undefined) {
      answers.inc({ from: 'cache' })
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
