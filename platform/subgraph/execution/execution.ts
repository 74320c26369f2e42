import type { FieldNode, GraphQLError, ResponsePath } from 'graphql'
import type { JsonObject } from '#platform/execution/json.ts'

/** One run of an operation. */
export type Execution = {
  context: unknown
  /** After coercion and with defaults. */
  variables: JsonObject
  /** What has failed where null may stand. */
  errors: GraphQLError[]
  /** Arguments that depend on variables, once read: the same for every object. By what has read them. */
  readArguments: Map<unknown, JsonObject>
}

/** Where in the answer a value stands. */
export type Path = ResponsePath

/**
 * A value as JSON text; or the error for which it has none, with which its parent has none either, up to where null may
 * stand: there it is noted, once.
 */
export type Settled = string | GraphQLError
export type Written = Settled | Promise<Settled>

/** Writes what stands under `key` of what stands at `parent`. Never throws, never rejects. */
export type ValueWriter = (value: unknown, parent: Path | undefined, key: string | number, run: Execution) => Written

/** A field as the words of an error name it, and where the operation asks for it. */
export type FieldPlace = { label: string; typename: string; nodes: readonly FieldNode[] }

export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function'
}
