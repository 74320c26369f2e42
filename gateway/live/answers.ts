import type { DocumentNode, GraphQLFormattedError } from 'graphql'
import { AppError } from '#platform/errors.ts'
import type { Engine } from '../pipeline/engine.ts'
import { formatOutcomeErrors } from '../pipeline/pipeline.ts'
import type { GatewayContext } from '../tiers/context.ts'
import { eventName, type LiveOperation } from './liveOperation.ts'
import type { Turns } from './turns.ts'

/** What a subscriber is told: an answer as a query's. */
export type LiveAnswer = {
  data?: Record<string, unknown> | null
  errors?: GraphQLFormattedError[]
  extensions?: Record<string, unknown>
}

/** So many events are answered by one query: each size is planned once. */
export const EVENTS_AT_ONCE = 10

export type Subscriber = {
  engine: Engine
  operation: LiveOperation
  variables: Record<string, unknown>
  /** Whoever subscribed: each answer is one to this caller, with this caller's rights. */
  context: GatewayContext
  /** Shared by all subscribers; see `asker`. */
  turns: Turns
  /** Whose turn its looks take: the tenant, or the member of staff. */
  asker: string
}

/** How it is now. */
export function answerState(subscriber: Subscriber): Promise<LiveAnswer> {
  const { operation, variables } = subscriber
  return ask(subscriber, operation.stateQuery, variables)
}

/**
 * The answers of up to `EVENTS_AT_ONCE` events, in their order; null for one that is gone already.
 * @throws AppError UNAVAILABLE when it could not be told: the tier whose they are does not answer
 */
export async function answerEvents(subscriber: Subscriber, ids: readonly string[]): Promise<(LiveAnswer | null)[]> {
  const { operation, variables } = subscriber
  // One, or as many as fit: the rest repeats the last, which costs a tier nothing.
  const size = ids.length === 1 ? 1 : EVENTS_AT_ONCE
  const asked = Array.from({ length: size }, (_, index) => [eventName(index), ids[index] ?? ids.at(-1)])
  const whole = await ask(subscriber, operation.eventsQuery(size), { ...variables, ...Object.fromEntries(asked) })
  return ids.map((_, index) => answerOf(whole, eventName(index), operation.responseKey))
}

function answerOf({ data, errors = [] }: LiveAnswer, name: string, responseKey: string): LiveAnswer | null {
  const own = errors.filter(({ path }) => path === undefined || path[0] === name)
  const value = data?.[name] ?? null
  if (value === null && own.length === 0) return null
  if (value === null && own.some(({ extensions }) => extensions?.code === 'UNAVAILABLE')) {
    throw new AppError('UNAVAILABLE', 'an event could not be answered')
  }
  const placed = own.map((error) => (error.path ? { ...error, path: [responseKey, ...error.path.slice(1)] } : error))
  return { ...(placed.length > 0 && { errors: placed }), data: { [responseKey]: value } }
}

async function ask(
  { engine, operation, context, turns, asker }: Subscriber,
  document: DocumentNode,
  variables: Record<string, unknown>,
): Promise<LiveAnswer> {
  // Of the supergraph in force now; what may be asked was decided when it was subscribed to.
  const found = engine.graph.operations.findByDocument(document, operation.operationName)
  const outcome = 'errors' in found ? found : await turns.run(asker, () => found.operation.run(variables, context))
  const errors = formatOutcomeErrors(outcome, () => context.log)
  const data = 'data' in outcome ? { data: outcome.data === null ? null : JSON.parse(outcome.data) } : {}
  return { ...(errors.length > 0 && { errors }), ...data }
}
