import { GraphQLScalarType, type ValueNode } from 'graphql'
import { GraphQLDateTime } from 'graphql-scalars'
import { AppError } from '#platform/errors.ts'

/**
 * graphql-scalars' DateTime without the year 0, which the calendar of a database does not have: it would be refused there,
 * as a fault of ours.
 */
export const dateTimeScalar = new GraphQLScalarType<Date, Date | string | number>({
  ...GraphQLDateTime.toConfig(),
  parseValue: (value) => requireYear(GraphQLDateTime.parseValue(value)),
  parseLiteral: (node: ValueNode) => requireYear(GraphQLDateTime.parseLiteral(node, null)),
})

function requireYear(instant: Date): Date {
  if (instant.getUTCFullYear() < 1) throw new AppError('INVALID_INPUT', 'a DateTime begins with the year 0001')
  return instant
}
