import {
  type DocumentNode,
  executeSync,
  type FieldNode,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql'
import { type Fragments, fragmentsOf } from '#platform/execution/conditions.ts'
import type { Step } from './execution.ts'
import { PreparedText } from './shape/shape.ts'

/**
 * Compiles the part of an operation that asks for the schema itself, wherever its fragments put it; undefined if there is
 * none. What depends on no variable is worked out once.
 */
export function compileIntrospection<Context>(
  schema: GraphQLSchema,
  operation: OperationDefinitionNode,
  document: DocumentNode,
): Step<Context> | undefined {
  const fragments = fragmentsOf(document)
  const selectionSet = pruned(operation.selectionSet, fragments)
  if (selectionSet.selections.length === 0) return undefined
  const pruning: DocumentNode = {
    kind: Kind.DOCUMENT,
    definitions: [{ ...operation, selectionSet }, ...fragments.values()],
  }
  const run = (variableValues: Record<string, unknown>) => {
    const { data } = executeSync({ schema, document: pruning, variableValues })
    return Object.entries(data ?? {}).map(([key, value]) => [key, new PreparedText(JSON.stringify(value))] as const)
  }
  const once = operation.variableDefinitions?.length ? undefined : run({})
  return async ({ data, given }) => {
    for (const [key, value] of once ?? run(given)) data[key] = value
  }
}

/** Only `__schema` and `__type` of the root's selections; spreads of fragments written out. */
function pruned(set: SelectionSetNode, fragments: Fragments): SelectionSetNode {
  const selections = set.selections.flatMap((selection): SelectionNode[] => {
    if (selection.kind === Kind.FIELD) return isIntrospection(selection) ? [selection] : []
    const fragment = selection.kind === Kind.INLINE_FRAGMENT ? selection : fragments.get(selection.name.value)
    if (!fragment) return []
    const inner = pruned(fragment.selectionSet, fragments)
    const { directives } = selection
    const { typeCondition } = fragment
    return inner.selections.length > 0
      ? [{ kind: Kind.INLINE_FRAGMENT, typeCondition, directives, selectionSet: inner }]
      : []
  })
  return { kind: Kind.SELECTION_SET, selections }
}

function isIntrospection({ name }: FieldNode): boolean {
  return name.value === '__schema' || name.value === '__type'
}
