import {
  type GraphQLCompositeType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  isAbstractType,
  isCompositeType,
  isListType,
  isNonNullType,
  isObjectType,
  type SelectionSetNode,
} from 'graphql'
import { collectFields, innerSelections, type SelectionSource } from '#platform/execution/collectFields.ts'
import { isInherited, isObject, type JsonObject, readOwn } from '#platform/execution/json.ts'
import { leafWriter, type ValueWriter } from './leaves.ts'

export type ShapeSource = SelectionSource & {
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

function compileFields(
  source: ShapeSource,
  type: GraphQLCompositeType,
  selectionSets: readonly SelectionSetNode[],
): Field[] {
  return [...collectFields(source, type, selectionSets)].map(([key, field], index) => {
    const { definition } = field
    const dataKey = key === definition.name ? key : (source.renamed.get(key) ?? key)
    return {
      key: dataKey,
      prefix: `${index > 0 ? ',' : ''}${JSON.stringify(key)}:`,
      write:
        definition.name === '__typename'
          ? nameWriter(type)
          : compileValue(source, definition.type, innerSelections(field)),
      isRequired: isNonNullType(definition.type),
      isInherited: isInherited(dataKey),
    }
  })
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
