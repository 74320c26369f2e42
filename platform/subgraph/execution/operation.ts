import { type DocumentNode, type GraphQLError, type GraphQLSchema, OperationTypeNode } from 'graphql'
import { fragmentsOf } from '#platform/execution/conditions.ts'
import type { JsonObject } from '#platform/execution/json.ts'
import { Operations } from '#platform/execution/operations.ts'
import { selectOperation } from '#platform/execution/selectOperation.ts'
import { compileVariables } from '#platform/execution/variables.ts'
import { makeVariants } from '#platform/execution/variants.ts'
import type { Execution, Settled } from './execution.ts'
import { compileFields, type Field, writeFields } from './fields.ts'

/** What a run comes to: `data` is JSON text, null where the root itself was nulled. */
export type Outcome =
  | { data: string | null; errors: readonly GraphQLError[] }
  /** Nothing was asked: the variables are wrong. */
  | { refused: readonly GraphQLError[] }

/** An operation that has been checked and compiled; run it as often as you like. */
export type Operation = {
  document: DocumentNode
  run: (variables: JsonObject, context: unknown) => Promise<Outcome>
}

/** The operations of a schema with resolvers. */
export function openOperations(schema: GraphQLSchema): Operations<Operation> {
  return new Operations({
    schema,
    compile: (document, operationName) => compileOperation(schema, document, operationName),
  })
}

/**
 * Compiles one operation of a valid document: what `execute` of GraphQL.js works out for every object (which fields, which
 * resolver, which arguments) is worked out once, and what it would build for JSON.stringify is written as text at once.
 * @throws GraphQLError with a code of Apollo's if the operation is not there, or may not be run
 */
function compileOperation(schema: GraphQLSchema, document: DocumentNode, operationName: string | undefined): Operation {
  const node = selectOperation(document, operationName)
  const root = schema.getRootType(node.operation)
  if (!root) throw new Error(`there is no root for a ${node.operation}`)
  const readVariables = compileVariables(schema, node)
  const fieldsFor = makeVariants(document, node, (decided) => {
    const operation = selectOperation(decided, node.name?.value)
    const fragments = fragmentsOf(decided)
    const told = { schema, fragments: Object.fromEntries(fragments), rootValue: undefined, operation }
    return compileFields({ schema, fragments, told }, root, [operation.selectionSet])
  })
  const writeRoot = node.operation === OperationTypeNode.MUTATION ? writeInTurn : writeAtOnce
  return {
    document,
    async run(given, context) {
      const read = readVariables(given)
      if ('errors' in read) return { refused: read.errors }
      const execution: Execution = { context, variables: read.values, errors: [], readArguments: new Map() }
      const written = await writeRoot(fieldsFor(read.values), execution)
      if (typeof written === 'string') return { data: written, errors: execution.errors }
      return { data: null, errors: [...execution.errors, written] }
    },
  }
}

async function writeAtOnce(fields: readonly Field[], execution: Execution): Promise<Settled> {
  return writeFields(fields, undefined, undefined, execution)
}

/** Mutations one after another, none after one that fails where null may not stand. */
async function writeInTurn(fields: readonly Field[], execution: Execution): Promise<Settled> {
  let text = '{'
  for (const { prefix, run } of fields) {
    const written = await run(undefined, undefined, execution)
    if (typeof written !== 'string') return written
    text += prefix + written
  }
  return `${text}}`
}
