import { type FragmentDefinitionNode, Kind, type SelectionNode, type SelectionSetNode } from 'graphql'
import type { JsonObject } from '../json.ts'

export type Fragments = ReadonlyMap<string, FragmentDefinitionNode>

/** Whether a selection is left out, by its @skip and @include. */
export function isLeftOut(selection: SelectionNode, variables: JsonObject): boolean {
  for (const { name, arguments: args } of selection.directives ?? []) {
    if (name.value !== 'skip' && name.value !== 'include') continue
    const value = args?.find((arg) => arg.name.value === 'if')?.value
    const isTrue =
      value?.kind === Kind.VARIABLE ? variables[value.name.value] === true : value?.kind === Kind.BOOLEAN && value.value
    if (isTrue === (name.value === 'skip')) return true
  }
  return false
}

/** The variables that decide what is left out of an operation, in order of appearance. */
export function findConditionVariables(selectionSet: SelectionSetNode, fragments: Fragments): string[] {
  const names = new Set<string>()
  const seen = new Set<string>()
  const visit = ({ selections }: SelectionSetNode) => {
    for (const selection of selections) {
      for (const { name, arguments: args } of selection.directives ?? []) {
        if (name.value !== 'skip' && name.value !== 'include') continue
        for (const { value } of args ?? []) if (value.kind === Kind.VARIABLE) names.add(value.name.value)
      }
      if (selection.kind !== Kind.FRAGMENT_SPREAD) {
        if (selection.selectionSet) visit(selection.selectionSet)
      } else if (!seen.has(selection.name.value)) {
        seen.add(selection.name.value)
        const fragment = fragments.get(selection.name.value)
        if (fragment) visit(fragment.selectionSet)
      }
    }
  }
  visit(selectionSet)
  return [...names]
}
