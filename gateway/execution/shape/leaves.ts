import { type GraphQLEnumType, type GraphQLLeafType, isEnumType } from 'graphql'
import { quote } from '#platform/execution/json.ts'

/** A value as JSON text; null for GraphQL's null, also where the value is not one of the type. */
export type ValueWriter = (value: unknown) => string | null

const BUILT_IN: ReadonlyMap<string, ValueWriter> = new Map<string, ValueWriter>([
  ['String', (value) => (typeof value === 'string' ? quote(value) : null)],
  ['ID', (value) => (typeof value === 'string' ? quote(value) : Number.isSafeInteger(value) ? `"${value}"` : null)],
  ['Int', (value) => (Number.isSafeInteger(value) ? String(value) : null)],
  ['Float', (value) => (typeof value === 'number' ? String(value) : null)],
  ['Boolean', (value) => (value === true ? 'true' : value === false ? 'false' : null)],
])

export function leafWriter(type: GraphQLLeafType): ValueWriter {
  if (isEnumType(type)) return enumWriter(type)
  return BUILT_IN.get(type.name) ?? writeAny
}

/** A scalar of our own: its subgraph has made JSON of it. */
function writeAny(value: unknown): string | null {
  if (value === undefined || value === null) return null
  return typeof value === 'string' ? quote(value) : JSON.stringify(value)
}

/** Only values that clients may see. */
function enumWriter(type: GraphQLEnumType): ValueWriter {
  const texts = new Map<unknown, string>(type.getValues().map(({ name }) => [name, `"${name}"`]))
  return (value) => texts.get(value) ?? null
}
