import {
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  isAbstractType,
  isCompositeType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  SchemaMetaFieldDef,
  type SelectionSetNode,
  TypeMetaFieldDef,
  TypeNameMetaFieldDef,
} from 'graphql'
import type { Fragments } from '../conditions.ts'
import { isInherited, isObject, type JsonObject, readOwn } from '../json.ts'
import { leafWriter, type ValueWriter } from './leaves.ts'

/** Where the selections of an operation come from, its @skip and @include carried out. */
export type ShapeSource = {
  schema: GraphQLSchema
  fragments: Fragments
  /** Aliases that have another name in the data. */
  renamed: ReadonlyMap<string, string>
}

type Field = {
  /** What it is called in the data. */
  key: string
  /** What the client calls it, as JSON text, with the comma before it and the colon after. */
  prefix: string
  write: ValueWriter
  isRequired: boolean
  isInherited: boolean
}

/**
 * Compiles the writer of an operation's data: from what the fetches have brought together to the JSON text that the
 * client asked for, in its order, with nulls where values are missing or wrong, passed upwards where null may not stand.
 * Of an interface or union, fields are worked out for the types that really come, when they first come.
 */
export function compileShape(
  source: ShapeSource,
  root: GraphQLObjectType,
  selectionSet: SelectionSetNode,
): ValueWriter {
  return compileObject(source, root, [selectionSet])
}

function compileObject(
  source: ShapeSource,
  declared: GraphQLCompositeType,
  selectionSets: readonly SelectionSetNode[],
): ValueWriter {
  if (isObjectType(declared)) {
    let fields: Field[] | undefined
    return (value) => {
      if (!isObject(value)) return null
      fields ??= compileFields(source, declared, selectionSets)
      return writeFields(value, fields)
    }
  }
  const byTypename = new Map<unknown, Field[] | null>()
  return (value) => {
    if (!isObject(value)) return null
    const typename = value.__typename
    let fields = byTypename.get(typename)
    if (fields === undefined) {
      const type = runtimeType(source.schema, declared, typename)
      fields = type ? compileFields(source, type, selectionSets) : null
      // Names come from subgraphs: unknown ones are not kept.
      if (type) byTypename.set(typename, fields)
    }
    return fields && writeFields(value, fields)
  }
}

function writeFields(row: JsonObject, fields: readonly Field[]): string | null {
  let text = '{'
  for (let i = 0; i < fields.length; i += 1) {
    const field = fields[i] as Field
    const written = field.write(field.isInherited ? readOwn(row, field.key) : row[field.key])
    if (written === null && field.isRequired) return null
    text += field.prefix + written
  }
  return `${text}}`
}

/** The type that an object says it is, if it may be here and clients know it. */
function runtimeType(
  schema: GraphQLSchema,
  declared: GraphQLCompositeType,
  typename: unknown,
): GraphQLCompositeType | undefined {
  if (typename === undefined || typename === declared.name) return declared
  const type = typeof typename === 'string' ? schema.getType(typename) : undefined
  if (!type || !isCompositeType(type) || !isAbstractType(declared)) return undefined
  return 'getFields' in type && schema.isSubType(declared, type) ? type : undefined
}

type Occurrences = {
  fieldName: string
  source: string
  definition: GraphQLField<unknown, unknown>
  inner: SelectionSetNode[]
}

function compileFields(
  source: ShapeSource,
  type: GraphQLCompositeType,
  selectionSets: readonly SelectionSetNode[],
): Field[] {
  const collected = new Map<string, Occurrences>()
  for (const set of selectionSets) collect(source, type, set, collected)
  return [...collected].map(([key, { fieldName, source: dataKey, definition, inner }], index) => ({
    key: dataKey,
    prefix: `${index > 0 ? ',' : ''}${JSON.stringify(key)}:`,
    write: fieldName === '__typename' ? nameWriter(type) : compileValue(source, definition.type, inner),
    isRequired: isNonNullType(definition.type),
    isInherited: isInherited(dataKey),
  }))
}

/** Adds what is selected of a type, by response name. */
function collect(
  source: ShapeSource,
  type: GraphQLCompositeType,
  { selections }: SelectionSetNode,
  collected: Map<string, Occurrences>,
): void {
  for (const selection of selections) {
    if (selection.kind === Kind.FIELD) {
      const fieldName = selection.name.value
      const key = selection.alias?.value ?? fieldName
      const known = collected.get(key)
      const definition = known?.definition ?? findField(type, fieldName)
      if (!definition) continue
      if (!known)
        collected.set(key, {
          fieldName,
          source: key === fieldName ? key : (source.renamed.get(key) ?? key),
          definition,
          inner: [],
        })
      if (selection.selectionSet) collected.get(key)?.inner.push(selection.selectionSet)
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

/** The name of an interface is nobody's `__typename`: an object that no subgraph could name is null. */
function nameWriter(type: GraphQLCompositeType): ValueWriter {
  const json = isObjectType(type) ? `"${type.name}"` : null
  return () => json
}

function compileValue(source: ShapeSource, type: GraphQLOutputType, inner: SelectionSetNode[]): ValueWriter {
  const nullable = isNonNullType(type) ? type.ofType : type
  if (isListType(nullable)) {
    const write = compileValue(source, nullable.ofType, inner)
    return listWriter(write, isNonNullType(nullable.ofType))
  }
  if (isCompositeType(nullable)) {
    return nullable.name.startsWith('__') ? writePrepared : compileObject(source, nullable, inner)
  }
  return leafWriter(nullable)
}

function listWriter(write: ValueWriter, isRequired: boolean): ValueWriter {
  return (value) => {
    if (!Array.isArray(value)) return null
    let text = '['
    for (let i = 0; i < value.length; i += 1) {
      const written = write(value[i])
      if (written === null && isRequired) return null
      text += i > 0 ? `,${written}` : written
    }
    return `${text}]`
  }
}

/** What introspection has found is text already. */
export class PreparedText {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

function writePrepared(value: unknown): string | null {
  return value instanceof PreparedText ? value.text : null
}
