import { type GraphQLEnumType, type GraphQLLeafType, isEnumType } from 'graphql'
import { quote } from '#platform/execution/json.ts'

/** What a resolver gave as JSON text. @throws whatever the type's own `serialize` does */
export type LeafWriter = (value: unknown) => string

/** Values that are plainly of the type; for all others GraphQL.js is asked. */
const PLAIN: ReadonlyMap<string, (value: unknown) => string | undefined> = new Map([
  ['String', (value: unknown) => (typeof value === 'string' ? quote(value) : undefined)],
  ['ID', (value: unknown) => (typeof value === 'string' ? quote(value) : undefined)],
  ['Boolean', (value: unknown) => (typeof value === 'boolean' ? String(value) : undefined)],
  ['Int', (value: unknown) => (typeof value === 'number' && (value | 0) === value ? String(value) : undefined)],
  ['Float', (value: unknown) => (Number.isFinite(value) ? String(value) : undefined)],
])

export function leafWriter(type: GraphQLLeafType): LeafWriter {
  if (isEnumType(type)) return enumWriter(type)
  const plain = PLAIN.get(type.name)
  return plain ? (value) => plain(value) ?? serialize(type, value) : (value) => serialize(type, value)
}

function serialize(type: GraphQLLeafType, value: unknown): string {
  const serialized = type.serialize(value)
  if (serialized === null || serialized === undefined) throw new Error(`${type} has no text for a value it was given`)
  // What JSON cannot say (a function) is undefined then.
  return typeof serialized === 'string' ? quote(serialized) : (JSON.stringify(serialized) ?? 'null')
}

function enumWriter(type: GraphQLEnumType): LeafWriter {
  const texts = new Map<unknown, string>(type.getValues().map(({ name, value }) => [value, `"${name}"`]))
  return (value) => texts.get(value) ?? serialize(type, value)
}
