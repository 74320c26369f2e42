import { type DocumentNode, Kind, type SelectionSetNode, visit } from 'graphql'

/**
 * The document to plan by: `__typename` stands where nothing is selected any more. The planner would fetch nothing, and
 * nobody could tell an object of which nothing was asked from one that is null.
 */
export function withoutEmptySelections(document: DocumentNode): DocumentNode {
  return visit(document, {
    [Kind.SELECTION_SET](set: SelectionSetNode) {
      return set.selections.length > 0 ? undefined : { ...set, selections: [TYPENAME] }
    },
  })
}

const TYPENAME = { kind: Kind.FIELD, name: { kind: Kind.NAME, value: '__typename' } } as const
