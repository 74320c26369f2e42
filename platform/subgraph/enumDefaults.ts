import {
  type GraphQLInputType,
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isObjectType,
} from 'graphql'

/**
 * Default values in the SDL were read before the enums got their lower-case values: this maps them too, so that a
 * resolver sees the same value whether a client wrote it or left it out.
 */
export function mapEnumDefaults(schema: GraphQLSchema) {
  for (const type of Object.values(schema.getTypeMap())) {
    if (type.name.startsWith('__')) continue
    if (isInputObjectType(type)) Object.values(type.getFields()).forEach(mapDefault)
    if (isObjectType(type) || isInterfaceType(type)) {
      for (const field of Object.values(type.getFields())) field.args.forEach(mapDefault)
    }
  }
}

function mapDefault(input: { type: GraphQLInputType; defaultValue?: unknown }) {
  if (input.defaultValue !== undefined) input.defaultValue = mapped(input.type, input.defaultValue)
}

function mapped(type: GraphQLInputType, value: unknown): unknown {
  if (value === null || value === undefined) return value
  if (isNonNullType(type)) return mapped(type.ofType, value)
  if (isListType(type)) return Array.isArray(value) ? value.map((item) => mapped(type.ofType, item)) : value
  if (isEnumType(type)) return type.getValue(String(value))?.value ?? value
  if (!isInputObjectType(type) || typeof value !== 'object') return value
  const fields = type.getFields()
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => {
      const field = fields[name]
      return [name, field ? mapped(field.type, item) : item]
    }),
  )
}
