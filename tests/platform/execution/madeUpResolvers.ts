import {
  buildSchema,
  type GraphQLFieldResolver,
  type GraphQLNamedType,
  type GraphQLOutputType,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  getNullableType,
  isAbstractType,
  isEnumType,
  isListType,
  isNonNullType,
  isObjectType,
  printSchema,
} from 'graphql'

/** What may befall a value: per thousand. */
export type Chances = { isLate: number; isNull: number; fails: number; isWrong: number }

/** Decides what is at one path of an answer, whoever asks and however often. */
type Draw = (path: string, what: string) => number

/**
 * A schema of which every field resolves to something made up of the seed and of the path at which it stands: at once or
 * later, null where it may be and where it may not, errors thrown and given back, values that are none of the type.
 */
export function withMadeUpResolvers(schema: GraphQLSchema, seed: number, chances: Chances): GraphQLSchema {
  const made = buildSchema(printSchema(schema))
  const draw: Draw = (path, what) => hash(`${seed} ${path} ${what}`) % 1000
  for (const type of Object.values(made.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('__')) continue
    for (const field of Object.values(type.getFields())) field.resolve = makeResolver(made, draw, chances)
  }
  return made
}

function makeResolver(schema: GraphQLSchema, draw: Draw, chances: Chances): GraphQLFieldResolver<unknown, unknown> {
  const happens = (path: string, chance: keyof Chances) => draw(path, chance) < chances[chance]
  const makeValue = (type: GraphQLOutputType, path: string): unknown => {
    if (!happens(path, 'isLate')) return makeNow(type, path)
    return later(draw(path, 'turns') % 4, () => makeNow(type, path))
  }
  const makeNow = (type: GraphQLOutputType, path: string): unknown => {
    if (happens(path, 'fails')) {
      const error = new Error(`${path} fails`)
      if (draw(path, 'how') < 500) return error
      throw error
    }
    if (happens(path, 'isNull')) return draw(path, 'how') < 500 ? null : undefined
    if (isNonNullType(type)) return makePresent(type.ofType, path)
    return makePresent(type, path)
  }
  const makePresent = (type: Exclude<GraphQLOutputType, { ofType: unknown }> | GraphQLOutputType, path: string) => {
    if (happens(path, 'isWrong')) return isListType(type) ? 7 : { not: 'what it should be' }
    if (!isListType(type)) return makeNamed(type as GraphQLNamedType, path)
    const items = Array.from({ length: draw(path, 'length') % 4 }, (_, i) => itemOf(type.ofType, `${path}.${i}`))
    return draw(path, 'kind') < 300 ? { [Symbol.iterator]: () => items[Symbol.iterator]() } : items
  }
  const itemOf = (type: GraphQLOutputType, path: string) => {
    try {
      return makeValue(type, path)
    } catch (error) {
      return error
    }
  }
  const makeNamed = (type: GraphQLNamedType, path: string): unknown => {
    if (isObjectType(type)) return {}
    if (isAbstractType(type)) {
      const members = schema.getPossibleTypes(type)
      return { __typename: members[draw(path, 'member') % members.length]?.name }
    }
    if (isEnumType(type)) return type.getValues()[draw(path, 'value') % type.getValues().length]?.value
    const drawn = draw(path, 'value')
    return { Int: drawn, Float: drawn / 7, Boolean: drawn < 500 }[type.name] ?? `"${drawn}"\n\u2028ü`
  }
  return (_source, args, _context, info) => {
    const value = makeValue(info.returnType, pathOf(info))
    // What is asked for shows, so that an argument read wrongly does.
    const showsArguments = Object.keys(args).length > 0 && !isEnumType(getNullableType(info.returnType))
    const withArguments = (made: unknown) =>
      showsArguments && typeof made === 'string' ? `${made} of ${JSON.stringify(args)}` : made
    return value instanceof Promise ? value.then(withArguments) : withArguments(value)
  }
}

function pathOf({ path }: GraphQLResolveInfo): string {
  const keys: (string | number)[] = []
  for (let at: typeof path | undefined = path; at; at = at.prev) keys.unshift(at.key)
  return keys.join('.')
}

async function later<Value>(turns: number, make: () => Value): Promise<Value> {
  for (let i = 0; i < turns; i += 1) await undefined
  return make()
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i += 1) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0
  return (value ^ (value >>> 15)) >>> 0
}
