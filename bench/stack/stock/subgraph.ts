import { buildSubgraphSchema } from '@apollo/subgraph'
import DataLoader from 'dataloader'
import { type GraphQLSchema, Kind } from 'graphql'
import { GraphQLDateTime, GraphQLEmailAddress, GraphQLJSON } from 'graphql-scalars'
import type { Tier } from '#platform/contracts/tiers.ts'
import { parseSubgraph } from './schemas.ts'

type SubgraphModule = Extract<Parameters<typeof buildSubgraphSchema>[0], { typeDefs: unknown }>
/** Resolvers by type and field, for whatever a subgraph has as its context. */
export type Resolvers = NonNullable<SubgraphModule['resolvers']>

const SCALARS = { DateTime: GraphQLDateTime, EmailAddress: GraphQLEmailAddress, JSON: GraphQLJSON }

/** An executable schema; the database writes an enum's values in small letters, the graph in capitals. */
export function buildStockSchema(tier: Tier, resolvers: Resolvers): GraphQLSchema {
  const typeDefs = parseSubgraph(tier)
  const values: Resolvers = {}
  for (const definition of typeDefs.definitions) {
    if (definition.kind === Kind.ENUM_TYPE_DEFINITION) {
      const names = (definition.values ?? []).map(({ name }) => name.value)
      values[definition.name.value] = Object.fromEntries(names.map((name) => [name, name.toLowerCase()]))
    }
    if (definition.kind === Kind.SCALAR_TYPE_DEFINITION) {
      values[definition.name.value] = SCALARS[definition.name.value as keyof typeof SCALARS]
    }
  }
  return buildSubgraphSchema({ typeDefs, resolvers: { ...values, ...resolvers } })
}

/** Rows by id, those that one request asks for in the same tick together. */
export function rowLoader<Row extends { id: string }>(find: (ids: string[]) => PromiseLike<Row[]>) {
  return new DataLoader<string, Row | null>(async (ids) => {
    const rows = new Map((await find([...ids])).map((row) => [row.id, row]))
    return ids.map((id) => rows.get(id) ?? null)
  })
}

/** A page of rows that were read one further than it goes. */
export function makePage<Row>(rows: readonly Row[], first: number) {
  return { nodes: rows.slice(0, first), pageInfo: { hasNextPage: rows.length > first } }
}

/** Whom a subgraph answers: as the gateway says in headers. */
export type Asker = { tenantId: string; userId: string }

/** What a subgraph's server needs: a context is made for each request. */
export type StockSubgraph = { schema: GraphQLSchema; makeContext: (asker: Asker) => object }
