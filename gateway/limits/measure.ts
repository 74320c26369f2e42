import {
  type ArgumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  isCompositeType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  SchemaMetaFieldDef,
  type SelectionSetNode,
  TypeMetaFieldDef,
} from 'graphql'
import { AppError } from '#platform/errors.ts'

/** What one operation asks for, with its fragments spread out. */
export type Measure = {
  /** Fields within fields, the root's being 1. */
  depth: number
  fields: number
  aliases: number
  directives: number
  /** Objects in the largest answer it can get: each composite field counts 1, times the rows of the lists around it. */
  cost: number
}

/** Rows taken for a list that says nothing of its length. */
const ASSUMED_ROWS = 10
/** No page is longer; whoever asks for more is refused by the tier. */
const LONGEST_PAGE = 100
const NOTHING: Measure = { depth: 0, fields: 0, aliases: 0, directives: 0, cost: 0 }

/**
 * Measures an operation before it is validated. Every fragment is measured once, however often it is spread, so a chain
 * of fragments that doubles at each link costs no more than its text is long. Figures grow as numbers do, to Infinity.
 * `readsVariables` tells whether other variables could make other figures.
 * @throws AppError INVALID_INPUT for fragments that spread themselves
 */
export function measureOperation(
  schema: GraphQLSchema,
  operation: OperationDefinitionNode,
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
  variables: Readonly<Record<string, unknown>>,
): { measure: Measure; readsVariables: boolean } {
  let readsVariables = false
  const read = (name: string) => {
    readsVariables = true
    return variables[name]
  }
  const known = new Map<string, Measure>()
  const open = new Set<string>()

  const measureFragment = (name: string): Measure => {
    const earlier = known.get(name)
    if (earlier) return earlier
    const fragment = fragments.get(name)
    if (!fragment) return NOTHING
    if (open.has(name)) throw new AppError('INVALID_INPUT', `fragment ${name} spreads itself`)
    open.add(name)
    const measure = measureSelections(fragment.selectionSet, schema.getType(fragment.typeCondition.name.value))
    open.delete(name)
    known.set(name, withDirectives(measure, fragment.directives?.length ?? 0))
    return known.get(name) as Measure
  }

  const measureSelections = (set: SelectionSetNode, parent: GraphQLNamedType | undefined): Measure =>
    set.selections.reduce<Measure>((sum, selection) => {
      const directives = selection.directives?.length ?? 0
      if (selection.kind === Kind.FIELD) return add(sum, measureField(selection, parent))
      if (selection.kind === Kind.FRAGMENT_SPREAD) {
        return add(sum, withDirectives(measureFragment(selection.name.value), directives))
      }
      const type = selection.typeCondition ? schema.getType(selection.typeCondition.name.value) : parent
      return add(sum, withDirectives(measureSelections(selection.selectionSet, type), directives))
    }, NOTHING)

  const measureField = (node: FieldNode, parent: GraphQLNamedType | undefined): Measure => {
    const field = fieldOf(schema, parent, node.name.value)
    const type = field && getNamedType(field.type)
    const within = node.selectionSet ? measureSelections(node.selectionSet, type ?? undefined) : NOTHING
    const rows = field ? rowsOf(field, node.arguments ?? [], read) : 1
    return {
      depth: within.depth + 1,
      fields: within.fields + 1,
      aliases: within.aliases + (node.alias ? 1 : 0),
      directives: within.directives + (node.directives?.length ?? 0),
      cost: (node.selectionSet ? 1 : 0) + rows * within.cost,
    }
  }

  const measure = measureSelections(operation.selectionSet, schema.getRootType(operation.operation) ?? undefined)
  return { measure: withDirectives(measure, operation.directives?.length ?? 0), readsVariables }
}

function add(a: Measure, b: Measure): Measure {
  return {
    depth: Math.max(a.depth, b.depth),
    fields: a.fields + b.fields,
    aliases: a.aliases + b.aliases,
    directives: a.directives + b.directives,
    cost: a.cost + b.cost,
  }
}

function withDirectives(measure: Measure, directives: number): Measure {
  return directives === 0 ? measure : { ...measure, directives: measure.directives + directives }
}

// biome-ignore lint/suspicious/noExplicitAny: graphql-js has them so; nothing is resolved here
type AnyField = GraphQLField<any, any>
type ReadVariable = (name: string) => unknown

function fieldOf(schema: GraphQLSchema, parent: GraphQLNamedType | undefined, name: string): AnyField | undefined {
  if (parent === schema.getQueryType()) {
    if (name === SchemaMetaFieldDef.name) return SchemaMetaFieldDef
    if (name === TypeMetaFieldDef.name) return TypeMetaFieldDef
  }
  if (!isObjectType(parent) && !isInterfaceType(parent)) return undefined
  return parent.getFields()[name]
}

/**
 * How many rows a field's selections are answered for: a page's `first`, or a guess for a list without one. Introspection
 * is answered from memory: its lists count once.
 */
function rowsOf(field: AnyField, given: readonly ArgumentNode[], read: ReadVariable): number {
  const type = getNamedType(field.type)
  if (!isCompositeType(type) || type.name.startsWith('__')) return 1
  const first = field.args.find((argument) => argument.name === 'first')
  if (first && type.name.endsWith('Connection')) {
    const asked = readNumber(
      given.find((argument) => argument.name.value === 'first'),
      read,
    )
    return clampRows(asked ?? first.defaultValue)
  }
  return isList(field) && !isPageOf(field) ? ASSUMED_ROWS : 1
}

function readNumber(argument: ArgumentNode | undefined, read: ReadVariable): unknown {
  if (!argument) return undefined
  const { value } = argument
  if (value.kind === Kind.INT) return Number(value.value)
  if (value.kind === Kind.VARIABLE) return read(value.name.value)
  return undefined
}

function clampRows(rows: unknown): number {
  return typeof rows === 'number' && rows >= 0 ? Math.min(rows, LONGEST_PAGE) : LONGEST_PAGE
}

function isList({ type }: AnyField): boolean {
  return isListType(isNonNullType(type) ? type.ofType : type)
}

/** `nodes` and `edges` are the rows that their connection has been counted for. */
function isPageOf({ name }: AnyField): boolean {
  return name === 'nodes' || name === 'edges'
}
