import {
  GraphQLError,
  type GraphQLSchema,
  getVariableValues,
  type NamedTypeNode,
  type OperationDefinitionNode,
  typeFromAST,
  type VariableDefinitionNode,
} from 'graphql'
import { type JsonObject, readOwn } from './json.ts'

export type Variables = { values: JsonObject } | { errors: readonly GraphQLError[] }

/** Reads the variables of a request: checked, coerced, with defaults. */
export type VariableReader = (given: JsonObject) => Variables

const PLAIN: ReadonlyMap<string, (value: unknown) => boolean> = new Map([
  ['String', (value: unknown) => typeof value === 'string'],
  ['ID', (value: unknown) => typeof value === 'string'],
  ['Boolean', (value: unknown) => typeof value === 'boolean'],
  ['Int', (value: unknown) => Number.isInteger(value) && Math.abs(value as number) < 2 ** 31],
])

/**
 * Compiles the reading of an operation's variables. Scalars that are plainly right are taken as they are; for all else,
 * and for the words in which something is wrong, GraphQL.js is asked.
 */
export function compileVariables(schema: GraphQLSchema, operation: OperationDefinitionNode): VariableReader {
  const definitions = operation.variableDefinitions ?? []
  if (definitions.length === 0) return () => ({ values: {} })
  const checks = definitions.map((definition) => plainCheck(schema, definition))
  return (given) => {
    const values: JsonObject = Object.create(null)
    for (const check of checks) {
      const value = check && readOwn(given, check.name)
      if (!check?.isPlain(value)) return readAll(schema, definitions, given)
      values[check.name] = value
    }
    return { values }
  }
}

function readAll(schema: GraphQLSchema, definitions: readonly VariableDefinitionNode[], given: JsonObject): Variables {
  const { coerced, errors } = getVariableValues(schema, definitions, given, { maxErrors: 50 })
  return errors ? { errors: errors.map(asInputError) } : { values: coerced }
}

function asInputError({ message, nodes, originalError, extensions }: GraphQLError): GraphQLError {
  return new GraphQLError(message, { nodes, originalError, extensions: { ...extensions, code: 'BAD_USER_INPUT' } })
}

function plainCheck(schema: GraphQLSchema, definition: VariableDefinitionNode) {
  const type = typeFromAST(schema, definition.type as NamedTypeNode)
  const isPlain = type && PLAIN.get(String(type).replace(/!$/, ''))
  return isPlain ? { name: definition.variable.name.value, isPlain } : undefined
}
