import { setTimeout as sleep } from 'node:timers/promises'
import { type DocumentNode, GraphQLError, type GraphQLSchema, parse, specifiedRules, validate } from 'graphql'
import { LRUCache } from 'lru-cache'
import type { Tier } from '#platform/contracts/tiers.ts'
import { AppError } from '#platform/errors.ts'
import { findOperation } from '../limits/limits.ts'
import type { Admission, Engine } from '../pipeline/engine.ts'
import { formatThrown } from '../pipeline/pipeline.ts'
import type { GatewayContext } from '../tiers/context.ts'
import type { TierLive } from '../tiers/tierLive.ts'
import type { LiveAnswer, Subscriber } from './answers.ts'
import { Bell } from './bell.ts'
import { followEvents, followState, type Stream } from './follow.ts'
import { compileLiveOperation, type LiveOperation } from './liveOperation.ts'
import type { TierWatch } from './tierWatch.ts'
import { Turns } from './turns.ts'

export type SubscriptionsOptions = {
  engine: Engine
  admit: Admission
  tiers: ReadonlyMap<Tier, { live: TierLive; watch: TierWatch }>
  maxTokens: number
}

export type SubscriptionRequest = {
  query: string
  operationName: string | undefined
  variables: Record<string, unknown>
}

/** One subscriber's end of it. */
export type Subscription = {
  context: GatewayContext
  lastEventId: string | undefined
  stream: Omit<Stream, 'bell'>
  /** Takes the position that goes out with the next answer; undefined for one without. */
  sendId: (id: string | undefined) => void
  signal: AbortSignal
}

type Compiled = { document: DocumentNode; operation: LiveOperation }

/** How many stay compiled, and how much text they may have in all; characters. */
const MAX_OPERATIONS = 500
const MAX_TEXT = 8 * 1024 * 1024
/** Of one tenant, however many streams it has. */
const LOOKS_AT_ONCE = 4
/** How far apart looks at a state are; staff's are recorded, and each record is a job. */
const STATE_PAUSE_MS = 1_000
const STAFF_PAUSE_MS = 10_000
/** Timers take no more. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** What is asked of a subscription before it begins, and then its answers. */
export class Subscriptions {
  readonly #options: SubscriptionsOptions
  /** Compiled for one supergraph each. */
  readonly #compiled = new WeakMap<GraphQLSchema, LRUCache<string, Compiled>>()
  readonly #turns = new Turns(LOOKS_AT_ONCE)

  constructor(options: SubscriptionsOptions) {
    this.#options = options
  }

  /**
   * Begins a subscription that may be asked. Its answers end with the token.
   * @throws AppError for one that may not; UNAVAILABLE when the tier cannot say where it begins
   */
  async begin(request: SubscriptionRequest, subscription: Subscription): Promise<AsyncGenerator<LiveAnswer>> {
    const { context, stream, signal } = subscription
    const operation = this.#find(request, context)
    const { engine } = this.#options
    const { tenantId, userId } = context.caller
    const asker = tenantId ?? `staff ${userId}`
    const subscriber = { engine, operation, variables: request.variables, context, turns: this.#turns, asker }
    const ending = new AbortController()
    signal.addEventListener('abort', () => ending.abort(), { once: true })
    const bell = new Bell(ending.signal)
    const ends = [() => ending.abort()]
    const answers = await this.#follow(subscriber, subscription, { ...stream, bell }, ends)
    return untilExpiry(answers, subscription, () => {
      for (const end of ends) end()
    })
  }

  async #follow(
    subscriber: Subscriber,
    { context, lastEventId }: Subscription,
    stream: Stream,
    ends: (() => void)[],
  ): Promise<AsyncGenerator<LiveAnswer>> {
    const { topic } = subscriber.operation
    const { kind, tenantId } = context.caller
    const watch = (tier: Tier) => ends.push(this.#tier(tier).watch.watch(tenantId, stream.bell))
    if (topic.kind === 'state') {
      topic.tiers.forEach(watch)
      return followState(subscriber, stream, kind === 'staff' ? STAFF_PAUSE_MS : STATE_PAUSE_MS)
    }
    const find = (after: string | null) =>
      this.#turns.run(subscriber.asker, () => this.#tier(topic.tier).live.findEvents(topic.source, after, context))
    const first = await find(lastEventId ?? null)
    watch(topic.tier)
    return followEvents(subscriber, stream, first, find)
  }

  #tier(name: Tier) {
    const tier = this.#options.tiers.get(name)
    if (!tier) throw new AppError('UNAVAILABLE', `the ${name} tier is not there`)
    return tier
  }

  /** @throws AppError from whoever decides what may be asked; INVALID_INPUT */
  #find({ query, operationName, variables }: SubscriptionRequest, context: GatewayContext): LiveOperation {
    const { engine, admit } = this.#options
    const schema = engine.graph.supergraph.apiSchema
    const known = this.#compiled.get(schema) ?? makeMemory()
    this.#compiled.set(schema, known)
    const key = `${operationName ?? ''}\n${query}`
    const compiled = known.get(key)
    const document = compiled?.document ?? this.#parse(query)
    admit({ schema, document, operationName, variables }, context)
    if (compiled) return compiled.operation
    const operation = compile(schema, document, operationName)
    known.set(key, { document, operation })
    return operation
  }

  #parse(query: string): DocumentNode {
    try {
      return parse(query, { maxTokens: this.#options.maxTokens })
    } catch (cause) {
      if (!(cause instanceof GraphQLError) && !(cause instanceof RangeError)) throw cause
      throw new AppError('INVALID_INPUT', `query: ${cause.message}`, { cause })
    }
  }
}

function makeMemory(): LRUCache<string, Compiled> {
  return new LRUCache({ max: MAX_OPERATIONS, maxSize: MAX_TEXT, sizeCalculation: (_compiled, text) => text.length })
}

function compile(schema: GraphQLSchema, document: DocumentNode, operationName: string | undefined): LiveOperation {
  const node = findOperation(document, operationName)
  if (node.operation !== 'subscription') {
    throw new AppError('INVALID_INPUT', `a ${node.operation} is asked at /graphql: this is for subscriptions`)
  }
  const [fault] = validate(schema, document, specifiedRules, { maxErrors: 1, hideSuggestions: true })
  if (fault) throw new AppError('INVALID_INPUT', fault.message, { cause: fault })
  return compileLiveOperation(schema, document, node)
}

/** Answers until the stream or the token ends. A token's end is told: connecting again with it is of no use. */
async function* untilExpiry(
  answers: AsyncGenerator<LiveAnswer>,
  { context, sendId, signal }: Subscription,
  close: () => void,
): AsyncGenerator<LiveAnswer> {
  const left = Math.min(LONGEST_TIMER_MS, Math.max(0, context.expiresAt - Date.now()))
  const expired = sleep(left, null, { signal, ref: false }).catch(() => null)
  try {
    for (;;) {
      const next = await Promise.race([answers.next(), expired])
      if (signal.aborted) return
      if (next === null) {
        sendId(undefined)
        const error = new AppError('UNAUTHENTICATED', 'the token has expired: subscribe with a new one')
        yield { errors: [formatThrown(error, () => context.log)] }
        return
      }
      if (next.done) return
      sendId(next.value.extensions?.eventId as string | undefined)
      yield next.value
    }
  } catch (error) {
    if (signal.aborted) return
    sendId(undefined)
    yield { errors: [formatThrown(error as Error, () => context.log)] }
  } finally {
    close()
    void answers.return(undefined).catch(() => {})
  }
}
