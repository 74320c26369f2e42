import { composeServices } from '@apollo/composition'
import { buildSubgraphSchema } from '@apollo/subgraph'
import { type GraphQLSchema, parse } from 'graphql'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'

/**
 * A made-up shop in four subgraphs, which bear the tiers' names so that the gateway as it is shipped can ask them. Every
 * answer is computed from the ids that are asked for.
 */
// biome-ignore lint/suspicious/noExplicitAny: resolvers of a made-up graph
type Row = any

const FEDERATION =
  'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@requires", "@external"])\n'

const number = (id: string) => Number(id.replace(/\D/g, '')) || 0
const product = (id: string) => ({
  id,
  name: `Product ${id} “with a name”`,
  description: `What product ${id} is good for, in as many words as a page shows of it. `.repeat(2),
  price: number(id) % 997,
  weight: (number(id) % 89) / 4,
  tags: ['new', 'sale', `tag-${number(id) % 7}`],
})
const productReference = { __resolveReference: ({ id, ...rest }: Row) => ({ ...product(id), ...rest }) }

export const SUBGRAPHS: Record<Tier, { typeDefs: string; resolvers: Row }> = {
  oltp: {
    typeDefs: `
      type Query { product(id: ID!): Product products(first: Int!, from: Int!): [Product!] }
      type Product @key(fields: "id") { id: ID! name: String! description: String price: Int! weight: Float! tags: [String!]! }`,
    resolvers: {
      Query: {
        product: (_: unknown, { id }: Row) => product(id),
        products: (_: unknown, { first, from }: Row) =>
          Array.from({ length: first }, (_item, i) => product(`p${from + i}`)),
      },
      Product: productReference,
    },
  },
  content: {
    typeDefs: `
      type Product @key(fields: "id") { id: ID! reviews(first: Int = 3): [Review!]! }
      type Review @key(fields: "id") { id: ID! stars: Int! text: String author: User }
      type User @key(fields: "id") { id: ID! }`,
    resolvers: {
      Product: {
        ...productReference,
        reviews: ({ id }: Row, { first }: Row) =>
          Array.from({ length: first }, (_item, i) => ({
            id: `r${number(id) * 10 + i}`,
            stars: (number(id) + i) % 6,
            text: `A review of ${id} that is about as long as people care to write.`,
            author: { id: `u${(number(id) * 7 + i) % 40}` },
          })),
      },
    },
  },
  analytics: {
    typeDefs: `type User @key(fields: "id") { id: ID! name: String! reviewCount: Int! }`,
    resolvers: {
      User: {
        __resolveReference: ({ id }: Row) => ({ id, name: `User ${id}`, reviewCount: number(id) * 3 }),
      },
    },
  },
  queue: {
    typeDefs: `
      type Product @key(fields: "id") {
        id: ID! price: Int! @external weight: Float! @external
        inStock: Boolean! shipping: Float @requires(fields: "price weight")
      }`,
    resolvers: {
      Product: {
        ...productReference,
        inStock: ({ id }: Row) => number(id) % 3 > 0,
        shipping: ({ price, weight }: Row) => (price > 500 ? 0 : weight / 2),
      },
    },
  },
}

/** A tier's schema as it is composed. */
export function schemaOf(tier: Tier): string {
  return FEDERATION + SUBGRAPHS[tier].typeDefs
}

export function composeShop(addressOf: (tier: Tier) => string): string {
  const services = TIERS.map((name) => ({
    name,
    url: addressOf(name),
    typeDefs: parse(schemaOf(name)),
  }))
  const composed = composeServices(services)
  if (composed.errors) throw new Error(composed.errors.map(String).join('\n'))
  return composed.supergraphSdl
}

export function buildShopSubgraph(tier: Tier): GraphQLSchema {
  return buildSubgraphSchema({ typeDefs: parse(schemaOf(tier)), resolvers: SUBGRAPHS[tier].resolvers })
}

export type Operation = {
  name: string
  query: string
  variables: (n: number) => Record<string, unknown>
  /** Requests to each gateway before anything is measured. */
  warmUp: number
  /** Whether oltp answers it as it is. */
  isOfOneSubgraph: boolean
}

/** Requests differ, so that no gateway answers one with another's answer; they recur, so that the stubs need not compute. */
const VARIETY = 64

export const OPERATIONS: readonly Operation[] = [
  {
    name: 'small: one object of one subgraph',
    query: 'query Small($id: ID!) { product(id: $id) { id name price } }',
    variables: (n) => ({ id: `p${n % VARIETY}` }),
    warmUp: 4_000,
    isOfOneSubgraph: true,
  },
  {
    name: 'four fetches: ten products, thirty reviews, their authors, stock',
    query: `query FourFetches($from: Int!) {
      products(first: 10, from: $from) {
        id name price inStock shipping
        reviews { id stars text author { id name reviewCount } }
      }
    }`,
    variables: (n) => ({ from: (n % VARIETY) * 10 }),
    warmUp: 2_000,
    isOfOneSubgraph: false,
  },
  {
    name: '300 KB: eight hundred products of one subgraph',
    query: `query Large($from: Int!) { products(first: 800, from: $from) { id name description price weight tags } }`,
    variables: (n) => ({ from: n % 8 }),
    warmUp: 200,
    isOfOneSubgraph: true,
  },
]
