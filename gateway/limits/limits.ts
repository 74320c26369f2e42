import {
  type DocumentNode,
  type FragmentDefinitionNode,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
  visit,
} from 'graphql'
import { AppError } from '#platform/errors.ts'
import { type Measure, measureOperation } from './measure.ts'

/** The most an operation may be, figure by figure. */
export type Limits = Record<keyof Measure, number>

/** What an operation that is not registered may ask unless settings say otherwise. A whole introspection is 15 deep. */
export const LIMITS: Limits = {
  depth: 16,
  fields: 2_000,
  aliases: 50,
  directives: 50,
  cost: 20_000,
}

type Asked = { operationName?: string | null | undefined; variables?: Record<string, unknown> | null | undefined }

/**
 * Measures the operation of a document that is to be run.
 * @throws AppError INVALID_INPUT where there is none, for fragments in a circle, and for aliases that answers keep for
 *         themselves
 */
export function measureDocument(schema: GraphQLSchema, document: DocumentNode, { operationName, variables }: Asked) {
  const operation = findOperation(document, operationName)
  refuseReservedAliases(document)
  const fragments = new Map<string, FragmentDefinitionNode>()
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition)
  }
  return measureOperation(schema, operation, fragments, variables ?? {})
}

/**
 * Refuses what asks for too much. To be called before validation, which takes exponential time over some of it.
 * @throws AppError LIMIT_REACHED naming limit and figure
 */
export function refuseBeyondLimits(measure: Measure, limits: Limits): void {
  for (const [limit, max] of Object.entries(limits) as [keyof Measure, number][]) {
    if (measure[limit] <= max) continue
    const figure = Number.isFinite(measure[limit]) ? measure[limit] : 'far more'
    throw new AppError('LIMIT_REACHED', `the operation's ${limit} may be at most ${max}, not ${figure}`, {
      extensions: { limit, max },
    })
  }
}

/**
 * The operation of a document that is to be run.
 * @throws AppError INVALID_INPUT where there is none, none of that name, or several and no name
 */
export function findOperation(document: DocumentNode, name?: string | null): OperationDefinitionNode {
  const operations = document.definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION)
  const [first] = name ? operations.filter((operation) => operation.name?.value === name) : operations
  if (!first) throw new AppError('INVALID_INPUT', name ? 'no operation has that name' : 'there is no operation')
  if (!name && operations.length > 1) throw new AppError('INVALID_INPUT', 'several operations: say which to run')
  return first
}

/** `__typename` and its like mean something to clients and to us; no field may be answered under such a name. */
function refuseReservedAliases(document: DocumentNode): void {
  visit(document, {
    Field({ alias }) {
      if (alias?.value.startsWith('__')) {
        throw new AppError('INVALID_INPUT', `alias ${alias.value}: names that begin with __ are reserved`)
      }
    },
  })
}
