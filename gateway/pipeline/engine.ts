import type { DocumentNode, GraphQLSchema } from 'graphql'
import type { Operations } from '#platform/execution/operations.ts'
import { addLiveSchema } from '#platform/graph/liveSchema.ts'
import { type Operation, openOperations } from '../execution/operation.ts'
import { readSupergraph, type Supergraph } from '../execution/supergraph.ts'
import type { GatewayContext } from '../tiers/context.ts'
import type { TierClient } from '../tiers/tierClient.ts'

/** What is run of one supergraph. A request keeps to the one it began with. */
export type Graph = { supergraph: Supergraph; operations: Operations<Operation<GatewayContext>> }

type Options = { tiers: ReadonlyMap<string, TierClient>; maxTokens: number }
type Listener = (graph: Graph) => void

/** The supergraph in force. Another takes its place at once and as a whole, or not at all. */
export class Engine {
  readonly #options: Options
  readonly #listeners = new Set<Listener>()
  #graph: Graph

  /** @throws when the supergraph is none, or knows subgraphs that nobody can ask */
  constructor(sdl: string, options: Options) {
    this.#options = options
    this.#graph = this.#build(sdl)
  }

  get graph(): Graph {
    return this.#graph
  }

  /** Operations are compiled anew as they come. @throws as the constructor does; the old supergraph stays then */
  replace(sdl: string): void {
    this.#graph = this.#build(sdl)
    for (const listener of this.#listeners) listener(this.#graph)
  }

  /** Calls now and at every change; gives back what ends it. */
  follow(listener: Listener): () => void {
    this.#listeners.add(listener)
    listener(this.#graph)
    return () => this.#listeners.delete(listener)
  }

  #build(sdl: string): Graph {
    const { tiers, maxTokens } = this.#options
    const read = readSupergraph(sdl)
    const supergraph = { ...read, apiSchema: addLiveSchema(read.apiSchema) }
    const unknown = supergraph.subgraphs.filter((name) => !tiers.has(name))
    if (unknown.length > 0) throw new Error(`there is nobody to ask for the subgraphs ${unknown.join(', ')}`)
    const fetchers = new Map([...tiers].map(([name, tier]) => [name, tier.fetch]))
    return { supergraph, operations: openOperations({ supergraph, fetchers, maxTokens }) }
  }
}

/**
 * Looks at what is about to be asked: after parsing, before anything whose cost grows with what was written. Called once
 * for every request.
 * @throws AppError to refuse it
 */
export type Admission = (asked: Asked, context: GatewayContext) => void
export type Asked = {
  schema: GraphQLSchema
  document: DocumentNode
  operationName: string | undefined
  variables: Record<string, unknown>
}
