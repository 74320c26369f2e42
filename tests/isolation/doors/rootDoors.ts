import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLInputType,
  type GraphQLSchema,
  getNamedType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isRequiredArgument,
} from 'graphql'
import { BESIDE, findKind, type Kind } from './kinds.ts'
import { fillInput, selectAll } from './selection.ts'

/** A root field that is asked with everything it can tell. */
export type RootField = {
  name: string
  type: 'Query' | 'Mutation'
  isForStaff: boolean
  /** Asks it with arguments by name; the same text whatever their values. */
  document(names: readonly string[]): string
  /** The arguments it cannot do without, ids among them by their place. */
  requiredArguments(ids: (coordinate: string) => unknown): Record<string, unknown>
  needsId: boolean
}

/** One place in a root field's arguments that takes an id. */
export type Door = {
  name: string
  coordinate: string
  field: RootField
  kind: Kind | null
  isForStaff: boolean
  document: string
  /** The arguments with this id in the place. */
  variables(id: string, others: (coordinate: string) => unknown): Record<string, unknown>
}

type Slot = { path: Part[]; coordinate: string; isForStaff: boolean }
type Part = { name: string; type: GraphQLInputType; owner: string }

const STAFF_ONLY = /staff only/i
const LEVELS = 2

/** Whether a field, a type or an argument is described as not for tenants. */
export function isForStaff({ description }: { description?: string | null | undefined }): boolean {
  return STAFF_ONLY.test(description ?? '')
}

/** Every root field of Query or Mutation. */
export function rootFields(schema: GraphQLSchema, type: 'Query' | 'Mutation'): RootField[] {
  return fieldsOf(schema, type).map((field) => describeField(type, field))
}

/** Every place of a root field that takes an id, or another text that is in the table of kinds. */
export function rootDoors(schema: GraphQLSchema, type: 'Query' | 'Mutation'): Door[] {
  return fieldsOf(schema, type).flatMap((field) => {
    const root = describeField(type, field)
    return field.args.flatMap((argument) =>
      [...slotsOf(argument, `${type}.${field.name}`, [])].flatMap((slot) => describeDoor(root, field, slot) ?? []),
    )
  })
}

/**
 * Fields below the roots that take ids, as Type.field.argument: these doors are none of the above. Subscriptions are tried
 * where they are opened (tests/gateway/live).
 */
export function nestedIdArguments(schema: GraphQLSchema): string[] {
  return Object.values(schema.getTypeMap()).flatMap((type) =>
    'getFields' in type && !isInputObjectType(type) && !['Query', 'Mutation', 'Subscription'].includes(type.name)
      ? Object.values(type.getFields()).flatMap((field) =>
          field.args
            .flatMap((argument) => [...slotsOf(argument, `${type.name}.${field.name}`, [])])
            .filter(({ path }) => isId(path))
            .map(({ coordinate }) => coordinate),
        )
      : [],
  )
}

type Field = GraphQLField<unknown, unknown>

function fieldsOf(schema: GraphQLSchema, type: 'Query' | 'Mutation'): Field[] {
  const root = type === 'Query' ? schema.getQueryType() : schema.getMutationType()
  return Object.values(root?.getFields() ?? {})
}

function describeField(type: RootField['type'], field: Field): RootField {
  const selection = selectAll(getNamedType(field.type), LEVELS)
  const required = field.args.filter(isRequiredArgument)
  return {
    name: field.name,
    type,
    isForStaff: isForStaff(field),
    document: (names) => {
      const args = field.args.filter(({ name }) => names.includes(name))
      const declared = args.map((argument) => `$${argument.name}: ${argument.type}`).join(', ')
      const given = args.map(({ name }) => `${name}: $${name}`).join(', ')
      const call = args.length > 0 ? `${field.name}(${given})` : field.name
      return `${type.toLowerCase()} ${field.name}${args.length > 0 ? `(${declared})` : ''} { ${call} ${selection} }`
    },
    requiredArguments: (ids) =>
      Object.fromEntries(
        required.map(({ name, type: input }) => [name, fillInput(input, name, ids, `${type}.${field.name}`)]),
      ),
    needsId: required.some((argument) => [...slotsOf(argument, '', [])].some(isNeeded)),
  }
}

function describeDoor(root: RootField, field: Field, slot: Slot): Door | null {
  const kind = findKind(slot.coordinate, getNamedType(field.type).name)
  if (!isId(slot.path) && kind === null) return null
  const [argument] = slot.path as [Part]
  const names = [argument.name, ...field.args.filter(isRequiredArgument).map(({ name }) => name)]
  return {
    name: `${root.type}.${root.name}(${slot.path.map(({ name }) => name).join('.')})`,
    coordinate: slot.coordinate,
    field: root,
    kind,
    isForStaff: root.isForStaff || slot.isForStaff,
    document: root.document(names),
    variables: (id, others) => ({
      ...root.requiredArguments(others),
      [argument.name]: place(slot.path, id, others),
    }),
  }
}

/** The argument's value with the id in its place and what else is required beside it. */
function place([part, ...inner]: Part[], id: string, others: (coordinate: string) => unknown): unknown {
  if (!part) return id
  const [next] = inner
  const value = next
    ? {
        ...(fillInput(getNamedType(part.type) as GraphQLInputType, part.name, others) as object),
        ...BESIDE[`${next.owner}.${next.name}`],
        [next.name]: place(inner, id, others),
      }
    : id
  return isList(part.type) ? [value] : value
}

function* slotsOf(
  argument: GraphQLArgument | GraphQLInputField,
  owner: string,
  outer: Part[],
  outerIsForStaff = false,
): Generator<Slot> {
  const path = [...outer, { name: argument.name, type: argument.type, owner }]
  const type = getNamedType(argument.type)
  const staff = outerIsForStaff || isForStaff(argument)
  if (!isInputObjectType(type)) {
    if (['ID', 'UUID', 'String'].includes(type.name))
      yield { path, coordinate: `${owner}.${argument.name}`, isForStaff: staff }
    return
  }
  // An input that holds itself is walked once.
  if (outer.some((part) => part.owner === type.name)) return
  for (const field of Object.values(type.getFields())) yield* slotsOf(field, type.name, path, staff)
}

function isId(path: Part[]): boolean {
  const last = path.at(-1)
  return last !== undefined && ['ID', 'UUID'].includes(getNamedType(last.type).name)
}

function isNeeded({ path }: Slot): boolean {
  return isId(path) && path.every(({ type }) => isNonNullType(type))
}

function isList(type: GraphQLInputType): boolean {
  return isListType(isNonNullType(type) ? type.ofType : type)
}
