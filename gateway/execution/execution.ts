import type { FetchNode } from '@apollo/query-planner'
import type { JsonObject } from '#platform/execution/json.ts'

/** An error of a subgraph on its way to the client; `extensions.serviceName` says whose. Not yet masked. */
export type Fault = { message: string; path?: (string | number)[]; extensions: JsonObject & { serviceName: string } }

/** What a subgraph answered. It may be anything a subgraph can send: nothing of it is to be trusted. */
export type SubgraphAnswer = { data?: unknown; errors?: unknown; extensions?: unknown }

/**
 * Asks one subgraph what a node of the plan says; `body` is the request as JSON text. Queries may be asked twice. Never
 * rejects: a subgraph that does not answer is an answer with an error.
 */
export type Fetcher<Context> = (body: string, context: Context, node: FetchNode) => Promise<SubgraphAnswer>

/** One run of an operation. */
export type Execution<Context> = {
  /** What the fetches have brought together so far. */
  data: JsonObject
  faults: Fault[]
  /** The variables as the client gave them: what subgraphs are sent. */
  given: JsonObject
  /** The same after coercion and with defaults: what conditions read. */
  variables: JsonObject
  context: Context
}

/** One part of a compiled plan. Rejects only if a program is wrong, ours. */
export type Step<Context> = (execution: Execution<Context>) => Promise<void>
