import { createHash } from 'node:crypto'
import type { QueryPlan } from '@apollo/query-planner'
import { type DocumentNode, type GraphQLError, type OperationTypeNode, print } from 'graphql'
import { AppError } from '#platform/errors.ts'
import { fragmentsOf } from '#platform/execution/conditions.ts'
import { isObject, type JsonObject } from '#platform/execution/json.ts'
import { Operations } from '#platform/execution/operations.ts'
import { selectOperation } from '#platform/execution/selectOperation.ts'
import { compileVariables } from '#platform/execution/variables.ts'
import { makeVariants } from '#platform/execution/variants.ts'
import { hideAliases, makePathReader } from './aliases.ts'
import { type CachePolicy, cachePolicyOf } from './cachePolicy.ts'
import { withoutEmptySelections } from './emptySelections.ts'
import type { Execution, Fault, Fetcher, Step } from './execution.ts'
import { compileIntrospection } from './introspection.ts'
import { compilePlan } from './plan/planSteps.ts'
import { reserveNames } from './reservedNames.ts'
import type { ValueWriter } from './shape/leaves.ts'
import { compileShape } from './shape/shape.ts'
import type { Supergraph } from './supergraph.ts'

/** What a run comes to: `data` is JSON text, null where the root itself was nulled; `plan` is what was run for it. */
export type Outcome =
  | { data: string | null; faults: readonly Fault[]; plan?: QueryPlan }
  /** Nothing was asked: the variables are wrong. */
  | { errors: readonly GraphQLError[] }

/** An operation that has been checked, planned and compiled; run it as often as you like. */
export type Operation<Context> = {
  /** Of this operation of this document over this supergraph, in every process alike. */
  readonly id: string
  kind: OperationTypeNode
  name: string | undefined
  document: DocumentNode
  cachePolicy: CachePolicy
  run: (variables: unknown, context: Context) => Promise<Outcome>
}

export type OperationSetup<Context> = { supergraph: Supergraph; fetchers: ReadonlyMap<string, Fetcher<Context>> }

/** The operations over a supergraph; documents of more than `maxTokens` are not parsed to their end. */
export function openOperations<Context>({
  maxTokens,
  ...setup
}: OperationSetup<Context> & { maxTokens: number }): Operations<Operation<Context>> {
  const { apiSchema, reservedNames } = setup.supergraph
  return new Operations({
    schema: apiSchema,
    rules: [reserveNames(reservedNames)],
    maxTokens,
    compile: (document, operationName) => compileOperation(document, operationName, setup),
  })
}

/**
 * Compiles one operation of a valid document. Where variables decide what is asked (@skip, @include), each combination is
 * an operation of its own, planned when it is first met: the planner does not keep apart what is required only under a
 * condition and what always is.
 * @throws GraphQLError with a code of Apollo's if the operation is not there, or may not be run; AppError LIMIT_REACHED
 */
function compileOperation<Context>(
  document: DocumentNode,
  operationName: string | undefined,
  setup: OperationSetup<Context>,
): Operation<Context> {
  const node = selectOperation(document, operationName)
  const { apiSchema, cacheHints } = setup.supergraph
  const readVariables = compileVariables(apiSchema, node)
  const variantFor = makeVariants(document, node, (decided) => compileVariant(decided, node.name?.value, setup))
  let id: string | undefined
  return {
    get id() {
      id ??= createHash('sha256')
        .update(JSON.stringify([setup.supergraph.sdl, print(document), operationName]))
        .digest('base64url')
      return id
    },
    kind: node.operation,
    name: node.name?.value,
    document,
    cachePolicy: cachePolicyOf(document, operationName, { apiSchema, hints: cacheHints }),
    async run(variables, context) {
      const given = isObject(variables) ? variables : {}
      const read = readVariables(given)
      if ('errors' in read) return { errors: read.errors }
      const variant = variantFor(read.values)
      const data: JsonObject = Object.create(null)
      const execution: Execution<Context> = { data, faults: [], given, variables: read.values, context }
      await variant.step(execution)
      for (const fault of execution.faults) if (fault.path) fault.path = variant.readPath(fault.path)
      return { data: variant.shape(data), faults: execution.faults, plan: variant.plan }
    },
  }
}

/** An operation of which it is decided what is asked. */
type Variant<Context> = {
  plan: QueryPlan
  step: Step<Context>
  shape: ValueWriter
  readPath: (path: (string | number)[]) => (string | number)[]
}

function compileVariant<Context>(
  document: DocumentNode,
  operationName: string | undefined,
  { supergraph, fetchers }: OperationSetup<Context>,
): Variant<Context> {
  const { apiSchema: schema, fieldNames, typeTest, isAbstract } = supergraph
  const node = selectOperation(document, operationName)
  const root = schema.getRootType(node.operation)
  if (!root) throw new Error(`there is no root for a ${node.operation}`)
  const { document: plain, renamed } = hideAliases(document, fieldNames)
  const plan = planOf(supergraph, withoutEmptySelections(plain), operationName)
  const fetch = compilePlan(plan, { fetchers, typeTest, isAbstract })
  const introspect = compileIntrospection<Context>(schema, selectOperation(plain, operationName), plain)
  return {
    plan,
    step: introspect
      ? async (execution) => {
          await introspect(execution)
          await fetch(execution)
        }
      : fetch,
    shape: compileShape({ schema, fragments: fragmentsOf(document), renamed }, root, node.selectionSet),
    readPath: renamed.size > 0 ? makePathReader(renamed) : (path) => path,
  }
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
