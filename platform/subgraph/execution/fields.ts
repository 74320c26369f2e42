import {
  BREAK,
  defaultFieldResolver,
  type FieldNode,
  type GraphQLAbstractType,
  GraphQLError,
  type GraphQLFieldResolver,
  type GraphQLNullableType,
  type GraphQLObjectType,
  type GraphQLResolveInfo,
  getArgumentValues,
  isAbstractType,
  isObjectType,
  Kind,
  type SelectionSetNode,
  visit,
} from 'graphql'
import {
  type CollectedField,
  collectFields,
  innerSelections,
  type SelectionSource,
} from '#platform/execution/collectFields.ts'
import type { JsonObject } from '#platform/execution/json.ts'
import type { Execution, FieldPlace, Path, ValueWriter, Written } from './execution.ts'
import { Pieces } from './pieces.ts'
import { compileValue, type ValuePlan } from './values.ts'

export type OperationSource = SelectionSource & {
  /** What resolvers are told of the operation as a whole, the same for all of them. */
  told: Pick<GraphQLResolveInfo, 'schema' | 'fragments' | 'rootValue' | 'operation'>
}

/** One field of one type at one place of an operation. */
export type Field = {
  /** Its name in the answer as JSON text, with the comma before it and the colon after. */
  prefix: string
  /** Has it resolved and written, for the object `source` at `path`. */
  run: (source: unknown, path: Path | undefined, run: Execution) => Written
}

/** What several selection sets ask of a type, ready to run. */
export function compileFields(
  source: OperationSource,
  type: GraphQLObjectType,
  selectionSets: readonly SelectionSetNode[],
): Field[] {
  return [...collectFields(source, type, selectionSets)].map(([key, field], index) => {
    const { definition, nodes } = field
    const place: FieldPlace = { label: `${type.name}.${definition.name}`, typename: type.name, nodes }
    const inner = innerSelections(field)
    const plan = compileValue(definition.type, place, (composite) => compileComposite(source, composite, inner, place))
    return { prefix: `${index > 0 ? ',' : ''}${JSON.stringify(key)}:`, run: compileRun(source, type, key, field, plan) }
  })
}

/** All fields of one object, in order; those that resolve later are waited for together. */
export function writeFields(
  fields: readonly Field[],
  source: unknown,
  path: Path | undefined,
  run: Execution,
): Written {
  const pieces = new Pieces('{')
  for (let i = 0; i < fields.length; i += 1) {
    const field = fields[i] as Field
    const written = field.run(source, path, run)
    if (written instanceof GraphQLError) return pieces.abandon(written)
    pieces.add(field.prefix, written)
  }
  return pieces.finish('}')
}

type Resolve = (object: unknown, path: Path | undefined, run: Execution) => unknown

function compileRun(
  source: OperationSource,
  type: GraphQLObjectType,
  key: string,
  field: CollectedField,
  { write, fail }: ValuePlan,
): Field['run'] {
  const { name, resolve } = field.definition
  if (name === '__typename') return () => `"${type.name}"`
  const read =
    !resolve || resolve === defaultFieldResolver
      ? readProperty(name, compileResolve(source, type, key, field, defaultFieldResolver))
      : compileResolve(source, type, key, field, resolve)
  return (object, path, run) => {
    let value: unknown
    try {
      value = read(object, path, run)
    } catch (error) {
      return fail(error, path, key, run)
    }
    return write(value, path, key, run)
  }
}

/** Most fields: what GraphQL.js does by default, without what only a method would ask for. */
function readProperty(name: string, callMethod: Resolve): Resolve {
  return (object, path, run) => {
    const value = (object as JsonObject | null | undefined)?.[name]
    return typeof value === 'function' ? callMethod(object, path, run) : value
  }
}

function compileResolve(
  { told }: OperationSource,
  parentType: GraphQLObjectType,
  key: string,
  { definition, nodes }: CollectedField,
  resolve: GraphQLFieldResolver<unknown, unknown>,
): Resolve {
  const argumentsOf = compileArguments(definition, nodes[0])
  const known = {
    fieldName: definition.name,
    fieldNodes: nodes,
    returnType: definition.type,
    parentType,
    ...told,
  }
  return (object, prev, run) => {
    const path: Path = { prev, key, typename: parentType.name }
    const info: GraphQLResolveInfo = { ...known, path, variableValues: run.variables }
    return resolve(object, argumentsOf(run), run.context, info)
  }
}

/** Arguments without variables are read once, others once a run. */
function compileArguments(
  definition: CollectedField['definition'],
  node: CollectedField['nodes'][0],
): (run: Execution) => JsonObject {
  if (definition.args.length === 0) return () => ({})
  const read = (variables: JsonObject) => getArgumentValues(definition, node, variables)
  if (!hasVariables(node)) {
    let constant: JsonObject | undefined
    return () => (constant ??= read({}))
  }
  return ({ variables, readArguments }) => {
    const known = readArguments.get(read)
    if (known) return known
    const args = read(variables)
    readArguments.set(read, args)
    return args
  }
}

function hasVariables(node: FieldNode): boolean {
  let found = false
  const look = () => {
    found = true
    return BREAK
  }
  for (const argument of node.arguments ?? []) visit(argument, { [Kind.VARIABLE]: look })
  return found
}

function compileComposite(
  source: OperationSource,
  type: GraphQLNullableType,
  inner: readonly SelectionSetNode[],
  place: FieldPlace,
): ValueWriter {
  if (isObjectType(type)) return objectWriter(source, type, inner, place)
  if (isAbstractType(type)) return abstractWriter(source, type, inner, place)
  throw new Error(`${type} is no type of a value`)
}

/** Compiled when the first object comes: lists of the schema itself are deep, and many never do. */
function objectWriter(
  source: OperationSource,
  type: GraphQLObjectType,
  inner: readonly SelectionSetNode[],
  { typename }: FieldPlace,
): ValueWriter {
  let fields: Field[] | undefined
  return (value, prev, key, run) => {
    fields ??= compileFields(source, type, inner)
    return writeFields(fields, value, { prev, key, typename: typeof key === 'string' ? typename : undefined }, run)
  }
}

function abstractWriter(
  source: OperationSource,
  type: GraphQLAbstractType,
  inner: readonly SelectionSetNode[],
  place: FieldPlace,
): ValueWriter {
  const writers = new Map<string, ValueWriter>()
  return (value, prev, key, run) => {
    const name = (value as { __typename?: unknown }).__typename
    const known = writers.get(name as string)
    if (known) return known(value, prev, key, run)
    const member = typeof name === 'string' ? source.schema.getType(name) : undefined
    if (!isObjectType(member) || !source.schema.isSubType(type, member)) {
      throw new Error(`a value of ${place.label} does not say which type of ${type.name} it is`)
    }
    const writer = objectWriter(source, member, inner, place)
    writers.set(member.name, writer)
    return writer(value, prev, key, run)
  }
}
