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

/** What an operation that is not registered may ask. A whole introspection is 15 deep. */
export const LIMITS = {
  depth: 16,
  fields: 2_000,
  aliases: 50,
  directives: 50,
  cost: 20_000,
} as const satisfies Record<keyof Measure, number>

/** Far more than any page asks, and far less than would exhaust the stack of whoever walks through it. */
export const MAX_TOKENS = 5_000

/**
 * Refuses an operation that asks for too much, or under names that answers keep for themselves. To be called before
 * validation, which takes exponential time over some of what is refused here.
 * @param name which operation of the document; may be left out where there is one
 * @throws AppError LIMIT_REACHED naming limit and figure; INVALID_INPUT
 */
export function checkLimits(
  schema: GraphQLSchema,
  document: DocumentNode,
  { operationName, variables }: { operationName?: string | null; variables?: Record<string, unknown> | null },
): Measure {
  const operation = findOperation(document, operationName)
  refuseReservedAliases(document)
  const fragments = new Map<string, FragmentDefinitionNode>()
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition)
  }
  const measure = measureOperation(schema, operation, fragments, variables ?? {})
  for (const limit of Object.keys(LIMITS) as (keyof Measure)[]) {
    if (measure[limit] <= LIMITS[limit]) continue
    const figure = Number.isFinite(measure[limit]) ? measure[limit] : 'far more'
    throw new AppError('LIMIT_REACHED', `the operation's ${limit} may be at most ${LIMITS[limit]}, not ${figure}`, {
      extensions: { limit, max: LIMITS[limit] },
    })
  }
  return measure
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
