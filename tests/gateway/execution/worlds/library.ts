import { makeWorld, type Row } from './world.ts'

const media: Row[] = [
  { __typename: 'Film', id: 'm1', title: 'Fog', minutes: 0, views: 10, owner: 'u1' },
  { __typename: 'Song', id: 'm2', title: '', bpm: 120.5, views: 0, owner: 'u2' },
  { __typename: 'Song', id: 'm3', title: 'Ünïcode', bpm: null, views: 3, owner: 'u1' },
]
const users: Row[] = [
  { id: 'u1', name: 'One', favourites: ['m1', 'm2'] },
  { id: 'u2', name: null, favourites: [] },
]
const mediaBy = ({ id }: Row) => media.find((row) => row.id === id)
const userBy = ({ id }: Row) => users.find((row) => row.id === id)
const typeOf = { __resolveType: (row: Row) => row.__typename }

const archive = {
  typeDefs: `
    type Query { media(id: ID!): Media all: [Media!]! films: [Film] }
    type Mutation { rename(id: ID!, title: String!): Media note(text: String): String! }
    interface Media @key(fields: "id") { id: ID! title: String! }
    type Film implements Media @key(fields: "id") { id: ID! title: String! minutes: Int }
    type Song implements Media @key(fields: "id") { id: ID! title: String! bpm: Float }`,
  resolvers: {
    Query: { media: (_: unknown, key: Row) => mediaBy(key) ?? null, all: () => media, films: () => [media[0], null] },
    Mutation: {
      rename: (_: unknown, { id, title }: Row) => ({ ...mediaBy({ id }), title }),
      note: (_: unknown, { text }: Row) => `noted ${text}`,
    },
    Media: { ...typeOf, __resolveReference: mediaBy },
    Film: { __resolveReference: mediaBy },
    Song: { __resolveReference: mediaBy },
  },
}

const views = {
  typeDefs: `
    type Query { mostSeen(first: Int): [Media!] one: Media }
    type Mutation { see(id: ID!): Media! reset: Boolean }
    type Media @interfaceObject @key(fields: "id") {
      id: ID! views: Int! seenBy(first: Int): [User!]
    }
    type User @key(fields: "id") { id: ID! }`,
  resolvers: {
    Query: { mostSeen: (_: unknown, { first = 9 }: Row) => media.slice(0, first), one: () => media[1] },
    Mutation: { see: (_: unknown, key: Row) => mediaBy(key), reset: () => false },
    Media: {
      __resolveReference: (key: Row) => {
        const row = mediaBy(key)
        return row && { ...row, __typename: 'Media' }
      },
      __resolveType: () => 'Media',
      seenBy: (row: Row, { first = 9 }: Row) => users.slice(0, Math.min(first, row.views)),
    },
    User: { __resolveReference: userBy },
  },
}

const accounts = {
  typeDefs: `
    type Query { user(id: ID!): User users: [User] root: Query }
    type Mutation { follow(id: ID!): User greet(name: String = "you"): Greeting }
    type Greeting { text: String! query: Query }
    type User @key(fields: "id") { id: ID! name: String favourites: [Media!] owned: [Media] }
    type Media @interfaceObject @key(fields: "id") { id: ID! owner: User }`,
  resolvers: {
    Query: { user: (_: unknown, key: Row) => userBy(key) ?? null, users: () => users, root: () => ({}) },
    Mutation: {
      follow: (_: unknown, key: Row) => userBy(key),
      greet: (_: unknown, { name }: Row) => ({ text: `hello ${name}`, query: {} }),
    },
    Media: {
      __resolveReference: (key: Row) => {
        const row = mediaBy(key)
        return row && { ...row, __typename: 'Media' }
      },
      owner: (row: Row) => userBy({ id: row.owner }),
    },
    User: {
      __resolveReference: userBy,
      favourites: (row: Row) => row.favourites.map((id: string) => mediaBy({ id })),
      owned: (row: Row) => media.filter((one) => one.owner === row.id),
    },
  },
}

/** @interfaceObject in two subgraphs, an interface with a key, mutations in several subgraphs, Query below Query. */
export const library = makeWorld('library', { archive, views, accounts })
