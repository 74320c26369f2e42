import type { DocumentNode, OperationDefinitionNode } from 'graphql'
import { LRUCache } from 'lru-cache'
import { decideConditions, findConditionVariables, fragmentsOf } from './conditions.ts'
import type { JsonObject } from './json.ts'

/** So many combinations of conditions stay compiled; beyond, the oldest is made anew. */
const KEPT_VARIANTS = 64

/**
 * Where variables decide what is asked (@skip, @include), each combination is an operation of its own, compiled when it is
 * first met; `compile` gets the document with its conditions carried out.
 */
export function makeVariants<Variant extends object>(
  document: DocumentNode,
  { selectionSet }: OperationDefinitionNode,
  compile: (decided: DocumentNode) => Variant,
): (variables: JsonObject) => Variant {
  const conditions = findConditionVariables(selectionSet, fragmentsOf(document))
  if (conditions.length === 0) {
    const only = compile(decideConditions(document, {}))
    return () => only
  }
  const variants = new LRUCache<string, Variant>({ max: KEPT_VARIANTS })
  return (variables) => {
    const key = conditions.map((name) => (variables[name] === true ? '1' : '0')).join('')
    const variant = variants.get(key) ?? compile(decideConditions(document, variables))
    variants.set(key, variant)
    return variant
  }
}
