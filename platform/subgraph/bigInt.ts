import { GraphQLScalarType, Kind } from 'graphql'
import { GraphQLBigInt } from 'graphql-scalars'
import { AppError } from '#platform/errors.ts'

/**
 * graphql-scalars' BigInt with one thing settled: a number beyond what JSON's readers keep exactly (2^53) is written as
 * text. The original leaves that to whether the process has patched BigInt, and warns on the console.
 * Resolvers get and give numbers while they are safe, bigints beyond.
 */
export const bigIntScalar = new GraphQLScalarType<number | bigint, number | string>({
  name: GraphQLBigInt.name,
  description: GraphQLBigInt.description,
  serialize(value) {
    const whole = readWhole(value)
    return typeof whole === 'bigint' ? whole.toString() : whole
  },
  parseValue: readWhole,
  parseLiteral(node) {
    return readWhole(node.kind === Kind.INT || node.kind === Kind.STRING ? node.value : undefined)
  },
})

function readWhole(value: unknown): number | bigint {
  const isWhole = typeof value === 'bigint' || Number.isInteger(value) || /^-?\d+$/.test(String(value))
  if (!isWhole) throw new AppError('INVALID_INPUT', 'a BigInt is a whole number')
  const whole = BigInt(value as bigint | number | string)
  return Number.isSafeInteger(Number(whole)) ? Number(whole) : whole
}
