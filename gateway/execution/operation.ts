import {
  type DocumentNode,
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
} from 'graphql'
import { AppError } from '#platform/errors.ts'
import { hideAliases, makePathReader } from './aliases.ts'
import type { Execution, Fault, Fetcher, Step } from './execution.ts'
import { compileIntrospection } from './introspection.ts'
import { isObject, type JsonObject } from './json.ts'
import { compilePlan } from './plan/planSteps.ts'
import { findConditionVariables } from './shape/conditions.ts'
import type { ValueWriter } from './shape/leaves.ts'
import { compileShape, type ShapeSource } from './shape/shape.ts'
import type { Supergraph } from './supergraph.ts'
import { compileVariables } from './variables.ts'

/** What a run comes to: `data` is JSON text, null where the root itself was nulled. */
export type Outcome =
  | { data: string | null; faults: readonly Fault[] }
  /** Nothing was asked: the variables are wrong. */
  | { errors: readonly GraphQLError[] }

/** An operation that has been checked, planned and compiled; run it as often as you like. */
export type Operation<Context> = {
  kind: OperationTypeNode
  name: string | undefined
  document: DocumentNode
  run: (variables: unknown, context: Context) => Promise<Outcome>
}

export type OperationSetup<Context> = { supergraph: Supergraph; fetchers: ReadonlyMap<string, Fetcher<Context>> }

/** So many combinations of conditions keep their shape; beyond, the oldest is made anew. */
const KEPT_SHAPES = 64

/**
 * Compiles one operation of a valid document.
 * @throws GraphQLError with a code of Apollo's if the operation is not there, or may not be run
 */
export function compileOperation<Context>(
  document: DocumentNode,
  operationName: string | undefined,
  { supergraph, fetchers }: OperationSetup<Context>,
): Operation<Context> {
  const node = selectOperation(document, operationName)
  const { apiSchema: schema, typeTest, isAbstract } = supergraph
  const fragments = new Map(
    document.definitions
      .filter((definition): definition is FragmentDefinitionNode => definition.kind === Kind.FRAGMENT_DEFINITION)
      .map((definition) => [definition.name.value, definition]),
  )
  const { document: plain, renamed } = hideAliases(document, supergraph.fieldNames)
  const fetch = compilePlan(planOf(supergraph, plain, operationName), { fetchers, typeTest, isAbstract })
  const introspect = compileIntrospection<Context>(schema, selectOperation(plain, operationName), plain)
  const step: Step<Context> = introspect
    ? async (execution) => {
        await introspect(execution)
        await fetch(execution)
      }
    : fetch
  const readVariables = compileVariables(schema, node)
  const shapeFor = makeShapes(node, { schema, fragments, renamed })
  const readPath = renamed.size > 0 ? makePathReader(renamed) : undefined
  return {
    kind: node.operation,
    name: node.name?.value,
    document,
    async run(variables, context) {
      const given = isObject(variables) ? variables : {}
      const read = readVariables(given)
      if ('errors' in read) return { errors: read.errors }
      const data: JsonObject = Object.create(null)
      const execution: Execution<Context> = { data, faults: [], given, variables: read.values, context }
      await step(execution)
      if (readPath) for (const fault of execution.faults) if (fault.path) fault.path = readPath(fault.path)
      return { data: shapeFor(read.values)(data), faults: execution.faults }
    },
  }
}

function selectOperation(document: DocumentNode, operationName: string | undefined): OperationDefinitionNode {
  const operations = document.definitions.filter(
    (node): node is OperationDefinitionNode => node.kind === Kind.OPERATION_DEFINITION,
  )
  const named = operationName ? operations.filter((node) => node.name?.value === operationName) : operations
  const [operation, another] = named
  const refuse = (message: string) =>
    new GraphQLError(message, { extensions: { code: 'OPERATION_RESOLUTION_FAILURE' } })
  if (!operation) throw refuse(operationName ? `Unknown operation named "${operationName}".` : 'There is no operation.')
  if (another) throw refuse('Must provide operation name if query contains multiple operations.')
  if (operation.operation === OperationTypeNode.SUBSCRIPTION) throw refuse('Subscriptions are not served here.')
  return operation
}

/** How the planner says that an operation is too much for it. Whatever else it throws is a fault of its own. */
const TOO_MUCH_TO_PLAN = /^(Exceeded maximum recursive selections|Number of non-local selections exceeds limit)/

/** @throws AppError LIMIT_REACHED */
function planOf(supergraph: Supergraph, document: DocumentNode, operationName: string | undefined) {
  try {
    return supergraph.plan(document, operationName)
  } catch (cause) {
    const isTooMuch = cause instanceof Error && TOO_MUCH_TO_PLAN.test(cause.message)
    if (isTooMuch) throw new AppError('LIMIT_REACHED', 'the operation selects too much to be planned', { cause })
    throw new Error('the operation could not be planned', { cause })
  }
}

/** The shape of the answer under some variables: only those that @skip and @include read make a difference. */
function makeShapes(
  node: OperationDefinitionNode,
  source: Omit<ShapeSource, 'variables'>,
): (variables: JsonObject) => ValueWriter {
  const root = source.schema.getRootType(node.operation)
  if (!root) throw new Error(`there is no root for a ${node.operation}`)
  const compile = (variables: JsonObject) => compileShape({ ...source, variables }, root, node.selectionSet)
  const conditions = findConditionVariables(node.selectionSet, source.fragments)
  if (conditions.length === 0) {
    const shape = compile({})
    return () => shape
  }
  const shapes = new Map<string, ValueWriter>()
  return (variables) => {
    const key = conditions.map((name) => (variables[name] === true ? '1' : '0')).join('')
    let shape = shapes.get(key)
    if (!shape) {
      shape = compile(Object.fromEntries(conditions.map((name) => [name, variables[name]])))
      const [oldest] = shapes.keys()
      if (shapes.size >= KEPT_SHAPES && oldest !== undefined) shapes.delete(oldest)
      shapes.set(key, shape)
    }
    return shape
  }
}
