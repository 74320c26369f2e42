import { type DocumentNode, type FragmentDefinitionNode, Kind, type SelectionSetNode, visit } from 'graphql'

const TYPENAME = { kind: Kind.FIELD, name: { kind: Kind.NAME, value: '__typename' } } as const

/**
 * The document to plan by: `__typename` is added wherever @skip and @include could leave nothing of a selection. The
 * planner would fetch nothing then, and nobody could tell an object of which nothing was asked from one that is null.
 */
export function withCertainFields(document: DocumentNode): DocumentNode {
  const fragments = new Map<string, FragmentDefinitionNode>()
  for (const node of document.definitions) {
    if (node.kind === Kind.FRAGMENT_DEFINITION) fragments.set(node.name.value, node)
  }
  const known = new Map<string, boolean>()
  const isCertain = ({ selections }: SelectionSetNode): boolean =>
    selections.some((selection) => {
      if (selection.directives?.some(({ name }) => name.value === 'skip' || name.value === 'include')) return false
      if (selection.kind === Kind.FIELD) return true
      if (selection.kind === Kind.INLINE_FRAGMENT) return isCertain(selection.selectionSet)
      const name = selection.name.value
      const fragment = fragments.get(name)
      if (!known.has(name)) known.set(name, fragment !== undefined && isCertain(fragment.selectionSet))
      return known.get(name) === true
    })
  return visit(document, {
    Field({ selectionSet, ...node }) {
      if (!selectionSet || isCertain(selectionSet)) return undefined
      return { ...node, selectionSet: { ...selectionSet, selections: [TYPENAME, ...selectionSet.selections] } }
    },
  })
}
