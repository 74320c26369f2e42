import {
  type FieldNode,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLSchema,
  isAbstractType,
  Kind,
  SchemaMetaFieldDef,
  type SelectionSetNode,
  TypeMetaFieldDef,
  TypeNameMetaFieldDef,
} from 'graphql'
import type { Fragments } from './conditions.ts'

/** Where the selections of an operation come from, its @skip and @include carried out. */
export type SelectionSource = { schema: GraphQLSchema; fragments: Fragments }

/** A field as it stands in an answer: all of the operation's places that select it under one name. */
export type CollectedField = {
  definition: GraphQLField<unknown, unknown>
  nodes: [FieldNode, ...FieldNode[]]
}

/** What several selection sets ask of one type together, by response name, in order of appearance. */
export function collectFields(
  source: SelectionSource,
  type: GraphQLCompositeType,
  selectionSets: readonly SelectionSetNode[],
): Map<string, CollectedField> {
  const collected = new Map<string, CollectedField>()
  for (const set of selectionSets) collect(source, type, set, collected)
  return collected
}

/** What the places of one field select below it. */
export function innerSelections({ nodes }: CollectedField): SelectionSetNode[] {
  return nodes.flatMap(({ selectionSet }) => selectionSet ?? [])
}

function collect(
  source: SelectionSource,
  type: GraphQLCompositeType,
  { selections }: SelectionSetNode,
  collected: Map<string, CollectedField>,
): void {
  for (const selection of selections) {
    if (selection.kind === Kind.FIELD) {
      const key = selection.alias?.value ?? selection.name.value
      const known = collected.get(key)
      if (known) {
        known.nodes.push(selection)
        continue
      }
      const definition = findField(type, selection.name.value)
      if (definition) collected.set(key, { definition, nodes: [selection] })
      continue
    }
    const fragment = selection.kind === Kind.FRAGMENT_SPREAD ? source.fragments.get(selection.name.value) : selection
    if (!fragment) continue
    const condition = fragment.typeCondition && source.schema.getType(fragment.typeCondition.name.value)
    if (!condition || condition === type || isAnyOf(source.schema, condition, type)) {
      collect(source, type, fragment.selectionSet, collected)
    }
  }
}

const META_FIELDS: ReadonlyMap<string, GraphQLField<unknown, unknown>> = new Map(
  [TypeNameMetaFieldDef, SchemaMetaFieldDef, TypeMetaFieldDef].map((field) => [field.name, field]),
)

function findField(type: GraphQLCompositeType, name: string): GraphQLField<unknown, unknown> | undefined {
  return META_FIELDS.get(name) ?? ('getFields' in type ? type.getFields()[name] : undefined)
}

function isAnyOf(schema: GraphQLSchema, condition: unknown, type: GraphQLCompositeType): boolean {
  return isAbstractType(condition) && 'getFields' in type && schema.isSubType(condition, type)
}
