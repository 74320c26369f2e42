import {
  type DocumentNode,
  type FragmentDefinitionNode,
  Kind,
  type SelectionNode,
  type SelectionSetNode,
  visit,
} from 'graphql'
import type { JsonObject } from './json.ts'

export type Fragments = ReadonlyMap<string, FragmentDefinitionNode>

export function fragmentsOf(document: DocumentNode): Fragments {
  const fragments = new Map<string, FragmentDefinitionNode>()
  for (const node of document.definitions) {
    if (node.kind === Kind.FRAGMENT_DEFINITION) fragments.set(node.name.value, node)
  }
  return fragments
}

/** The variables that decide what is left out of an operation, in order of appearance. */
export function findConditionVariables(selectionSet: SelectionSetNode, fragments: Fragments): string[] {
  const names = new Set<string>()
  const seen = new Set<string>()
  const visitSet = ({ selections }: SelectionSetNode) => {
    for (const selection of selections) {
      for (const { name, arguments: args } of selection.directives ?? []) {
        if (name.value !== 'skip' && name.value !== 'include') continue
        for (const { value } of args ?? []) if (value.kind === Kind.VARIABLE) names.add(value.name.value)
      }
      if (selection.kind !== Kind.FRAGMENT_SPREAD) {
        if (selection.selectionSet) visitSet(selection.selectionSet)
      } else if (!seen.has(selection.name.value)) {
        seen.add(selection.name.value)
        const fragment = fragments.get(selection.name.value)
        if (fragment) visitSet(fragment.selectionSet)
      }
    }
  }
  visitSet(selectionSet)
  return [...names]
}

/** The document with its @skip and @include carried out; selections may come out empty. */
export function decideConditions(document: DocumentNode, variables: JsonObject): DocumentNode {
  const decide = <Node extends SelectionNode>(node: Node): Node | null | undefined => {
    if (!node.directives?.length) return undefined
    if (isLeftOut(node, variables)) return null
    return {
      ...node,
      directives: node.directives.filter(({ name }) => name.value !== 'skip' && name.value !== 'include'),
    }
  }
  return visit(document, {
    [Kind.FIELD]: { enter: decide },
    [Kind.INLINE_FRAGMENT]: { enter: decide },
    [Kind.FRAGMENT_SPREAD]: { enter: decide },
  })
}

function isLeftOut(selection: SelectionNode, variables: JsonObject): boolean {
  for (const { name, arguments: args } of selection.directives ?? []) {
    if (name.value !== 'skip' && name.value !== 'include') continue
    const value = args?.find((arg) => arg.name.value === 'if')?.value
    const isTrue =
      value?.kind === Kind.VARIABLE ? variables[value.name.value] === true : value?.kind === Kind.BOOLEAN && value.value
    if (isTrue === (name.value === 'skip')) return true
  }
  return false
}
