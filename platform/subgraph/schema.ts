import { readFileSync } from 'node:fs'
import { buildSubgraphSchema } from '@apollo/subgraph'
import {
  type GraphQLEnumType,
  type GraphQLScalarType,
  type GraphQLSchema,
  isEnumType,
  isObjectType,
  parse,
} from 'graphql'
import { GraphQLEmailAddress, GraphQLJSON, GraphQLUUID } from 'graphql-scalars'
import { bigIntScalar } from './bigInt.ts'
import { dateTimeScalar } from './dateTime.ts'
import { mapEnumDefaults } from './enumDefaults.ts'

type SubgraphModule = Extract<Parameters<typeof buildSubgraphSchema>[0], { typeDefs: unknown }>
type SubgraphResolvers = NonNullable<SubgraphModule['resolvers']>

/** Resolvers by type and field, as codegen types them per tier. */
export type ResolverMap = { readonly [typeName: string]: unknown }

const SCALARS: Record<string, GraphQLScalarType> = {
  BigInt: bigIntScalar,
  DateTime: dateTimeScalar,
  EmailAddress: GraphQLEmailAddress,
  JSON: GraphQLJSON,
  UUID: GraphQLUUID,
}

/**
 * A tier's executable schema: its SDL, its resolvers, the platform's scalars, and enums that are UPPER_CASE outside and
 * lower case inside, as the database has them.
 * @throws Error when a resolver belongs to no field: a misspelt one would otherwise silently never run; or when one tells
 *         types apart
 */
export function buildTierSchema(sdlPath: string | URL, resolvers: ResolverMap): GraphQLSchema {
  const typeDefs = parse(readFileSync(sdlPath, 'utf8'))
  const contract = buildSubgraphSchema({ typeDefs })
  refuseUnknownResolvers(contract, resolvers)
  const all = { ...scalarResolvers(contract), ...enumResolvers(contract), ...resolvers }
  const schema = buildSubgraphSchema([{ typeDefs, resolvers: all as SubgraphResolvers }])
  mapEnumDefaults(schema)
  return schema
}

function scalarResolvers(schema: GraphQLSchema): ResolverMap {
  return Object.fromEntries(Object.entries(SCALARS).filter(([name]) => schema.getType(name)))
}

function enumResolvers(schema: GraphQLSchema): ResolverMap {
  // Names with two underscores belong to GraphQL and to federation itself.
  const isOurs = (type: unknown): type is GraphQLEnumType => isEnumType(type) && !type.name.includes('__')
  return Object.fromEntries(
    Object.values(schema.getTypeMap())
      .filter(isOurs)
      .map((type) => [type.name, Object.fromEntries(type.getValues().map(({ name }) => [name, name.toLowerCase()]))]),
  )
}

/** GraphQL.js' other ways to tell types apart. */
const OWN_TYPE_TESTS = ['__resolveType', '__isTypeOf']

function hasResolver(fields: unknown, name: string): boolean {
  return typeof fields === 'object' && fields !== null && name in fields
}

function refuseUnknownResolvers(schema: GraphQLSchema, resolvers: ResolverMap) {
  const unknown: string[] = []
  for (const [typeName, fields] of Object.entries(resolvers)) {
    const type = schema.getType(typeName)
    if (!type) unknown.push(typeName)
    // The compiled executor takes a value's type from its `__typename`.
    unknown.push(...OWN_TYPE_TESTS.filter((test) => hasResolver(fields, test)).map((test) => `${typeName}.${test}`))
    if (!isObjectType(type) || typeof fields !== 'object' || fields === null) continue
    const known = type.getFields()
    unknown.push(
      ...Object.keys(fields)
        .filter((field) => !field.startsWith('__') && !(field in known))
        .map((field) => `${typeName}.${field}`),
    )
  }
  if (unknown.length > 0) throw new Error(`resolvers of nothing in the schema: ${unknown.join(', ')}`)
}
