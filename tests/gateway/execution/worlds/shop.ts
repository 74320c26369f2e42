import { makeWorld, type Row } from './world.ts'

const authors: Row[] = [
  {
    __typename: 'Author',
    id: 'a1',
    name: 'Ada',
    email: 'ada@example.org',
    friends: ['a2', 'a1'],
    level: 0,
    region: { code: 'EU', city: { name: 'Łódź' } },
  },
  {
    __typename: 'Author',
    id: 'a2',
    name: 'Bo "the \\ quoted"',
    email: '',
    friends: ['a1'],
    level: 7,
    region: { code: 'US', city: null },
  },
  { __typename: 'Author', id: 'a3', name: 'Cy\u2028\n', email: 'cy@example.org', friends: [], level: -1, region: null },
]
const items: Row[] = [
  {
    __typename: 'Book',
    id: 'b1',
    name: 'Dunes',
    isbn: '111',
    edition: { number: 1, year: 2001 },
    pages: 0,
    author: 'a1',
    price: 10,
    weight: 1.5,
    inStock: false,
    tags: ['x', null, ''],
  },
  {
    __typename: 'Book',
    id: 'b2',
    name: '',
    isbn: '222',
    edition: { number: 2, year: 1999 },
    pages: 320,
    author: 'a2',
    price: 0,
    weight: 0,
    inStock: true,
    tags: [],
  },
  {
    __typename: 'Gadget',
    id: 'g1',
    name: 'Lamp 💡',
    sku: 'L',
    variant: 'red',
    author: null,
    price: 99,
    weight: 20.25,
    inStock: true,
    tags: null,
    watts: 60,
  },
  {
    __typename: 'Gadget',
    id: 'g2',
    name: 'Fan',
    sku: 'F',
    variant: '',
    author: 'a1',
    price: 5,
    weight: 3,
    inStock: null,
    tags: ['cool'],
    watts: null,
  },
]
const reviews: Row[] = [
  { id: 'r1', stars: 5, text: 'good', item: 'b1', by: 'a2' },
  { id: 'r2', stars: 0, text: null, item: 'b1', by: 'a3' },
  { id: 'r3', stars: 3, text: 'so so', item: 'g1', by: 'a2' },
  { id: 'r4', stars: 1, text: '', item: 'g2', by: null },
  { id: 'r5', stars: 4, text: 'again', item: 'b2', by: 'a2' },
]

const itemBy = (key: Row) =>
  items.find(
    (row) =>
      (!key.id || row.id === key.id) &&
      (!key.isbn || (row.isbn === key.isbn && row.edition.number === key.edition?.number)) &&
      (key.sku === undefined || (row.sku === key.sku && row.variant === key.variant)),
  )
const authorBy = (key: Row) =>
  authors.find((row) => row.id === key.id || (key.email !== undefined && row.email === key.email))
const typeOf = { __resolveType: (row: Row) => row.__typename }
const authorOf = (row: Row) => authorBy({ id: row.author }) ?? null

/** What a field with @requires computes: from what the request brought, never from what the subgraph might know. */
const withRepresentation = (find: (key: Row) => Row) => (key: Row) => {
  const row = find(key)
  return row && { ...row, given: key }
}

const catalogue = {
  typeDefs: `
    type Query {
      item(id: ID!): Item
      items(first: Int = 10, kind: Kind): [Item!]
      books: [Book]
      shelves: [[Item]!]
      search(text: String): [Hit!]!
      authors: [Author]
      toString: String
      constructor: String
      broken: Author!
    }
    enum Kind { BOOK GADGET OLD @inaccessible }
    interface Item { id: ID! name(upper: Boolean = false): String! author: Author related(first: Int): [Item!] kind: Kind! price: Int! tags: [String] }
    type Book implements Item @key(fields: "id") @key(fields: "isbn edition { number }") {
      id: ID! name(upper: Boolean = false): String! author: Author related(first: Int): [Item!] kind: Kind!
      isbn: String! edition: Edition! pages: Int weight(unit: Unit = KG): Float price: Int! tags: [String] size: Int
    }
    type Edition @shareable { number: Int! year: Int }
    type Gadget implements Item @key(fields: "id") @key(fields: "sku variant") {
      id: ID! name(upper: Boolean = false): String! author: Author related(first: Int): [Item!] kind: Kind!
      sku: String! variant: String! watts: Int weight(unit: Unit = KG): Float price: Int! tags: [String] size: String
    }
    enum Unit { KG LB }
    union Hit = Book | Gadget | Author
    type Author @key(fields: "id") { id: ID! email: String @shareable region: Region secret: String @inaccessible }
    type Region @shareable { code: String! city: City }
    type City @shareable { name: String! }`,
  resolvers: {
    Query: {
      item: (_: unknown, { id }: Row) => itemBy({ id }) ?? null,
      items: (_: unknown, { first, kind }: Row) =>
        items.filter((row) => !kind || row.__typename.toUpperCase() === kind).slice(0, first),
      books: () => [items[0], null, items[1], items[0]],
      shelves: () => [[items[0], items[2]], [null, items[3], items[0]], []],
      search: () => [items[2], authors[0], items[0], authors[1], items[3], items[0]],
      authors: () => [authors[0], authors[1], null, authors[2], authors[0]],
      toString: () => null,
      constructor: () => 'built',
      broken: () => authors[2],
    },
    Item: typeOf,
    Hit: typeOf,
    Book: {
      __resolveReference: itemBy,
      kind: () => 'BOOK',
      size: (row: Row) => row.pages,
      ...commonFields(),
    },
    Gadget: { __resolveReference: itemBy, kind: () => 'GADGET', size: () => 'big', ...commonFields() },
    Author: { __resolveReference: authorBy, secret: () => 'hidden' },
  },
}

function commonFields() {
  return {
    name: (row: Row, { upper }: Row) => (upper ? row.name.toUpperCase() : row.name),
    author: authorOf,
    related: (row: Row, { first = 9 }: Row) => items.filter((other) => other !== row).slice(0, first),
    weight: (row: Row, { unit }: Row) => (unit === 'LB' ? row.weight * 2 : row.weight),
  }
}

const people = {
  typeDefs: `
    type Query { me: Author topAuthors(level: Int): [Author!] regions: [Region!] }
    type Author @key(fields: "id") @key(fields: "email") { id: ID! email: String @shareable name: String! @shareable level: Int! friends: [Author!]! bestFriend: Author }
    type Region @shareable { code: String! city: City }
    type City @shareable { name: String! }`,
  resolvers: {
    Query: {
      me: () => authors[0],
      topAuthors: (_: unknown, { level = -9 }: Row) => authors.filter((row) => row.level >= level),
      regions: () => authors.map((row) => row.region).filter(Boolean),
    },
    Author: {
      __resolveReference: authorBy,
      friends: (row: Row) => row.friends.map((id: string) => authorBy({ id })),
      bestFriend: (row: Row) => authorBy({ id: row.friends[0] }) ?? null,
    },
  },
}

const stock = {
  typeDefs: `
    type Query { stocked: [Stocked!] }
    interface Stocked { id: ID! inStock: Boolean freight: Float! }
    type Book implements Stocked @key(fields: "isbn edition { number }") @key(fields: "id") {
      id: ID! isbn: String! @shareable edition: Edition @shareable
      inStock: Boolean price: Int! @external tags: [String] @external
      freight: Float! @requires(fields: "price tags") label: String @requires(fields: "price")
    }
    type Edition @shareable { number: Int! year: Int }
    type Gadget implements Stocked @key(fields: "sku variant") @key(fields: "id") {
      id: ID! sku: String! @shareable variant: String! @shareable inStock: Boolean price: Int! @external author: Author @external
      freight: Float! @requires(fields: "price author { region { code city { name } } }")
    }
    type Author @key(fields: "id") { id: ID! region: Region @external }
    type Region @shareable { code: String! city: City }
    type City @shareable { name: String! }`,
  resolvers: {
    Query: { stocked: () => [items[0], items[2]] },
    Stocked: typeOf,
    Book: {
      __resolveReference: withRepresentation(itemBy),
      freight: ({ given }: Row) => given.price + (given.tags?.length ?? 100) / 8,
      label: ({ given }: Row) => `costs ${given.price}`,
    },
    Gadget: {
      __resolveReference: withRepresentation(itemBy),
      freight: ({ given }: Row) =>
        given.price + (given.author?.region?.code.length ?? 0.5) + (given.author?.region?.city?.name.length ?? 0.25),
    },
  },
}

const opinions = {
  typeDefs: `
    type Query { reviews(min: Int): [Review] review(id: ID!): Review latest: Opinion }
    type Review @key(fields: "id") { id: ID! stars: Int! text(max: Int): String subject: Reviewed by: Author @provides(fields: "name") writers: [Author!]! }
    type Note { body: String! about: Author }
    union Opinion = Review | Note
    union Reviewed = Book | Gadget
    type Book @key(fields: "id") { id: ID! reviews(first: Int): [Review!]! rating: Float }
    type Gadget @key(fields: "id") { id: ID! reviews(first: Int): [Review!]! rating: Float! }
    type Author @key(fields: "id") { id: ID! name: String! @external reviews: [Review!] }`,
  resolvers: {
    Query: {
      reviews: (_: unknown, { min = 0 }: Row) => reviews.map((row) => (row.stars >= min ? row : null)),
      review: (_: unknown, { id }: Row) => reviews.find((row) => row.id === id) ?? null,
      latest: () => ({ __typename: 'Note', body: 'closed', about: authors[1] }),
    },
    Opinion: { __resolveType: (row: Row) => row.__typename ?? 'Review' },
    Reviewed: typeOf,
    Review: {
      __resolveReference: ({ id }: Row) => reviews.find((row) => row.id === id),
      text: (row: Row, { max }: Row) => (max === undefined || row.text === null ? row.text : row.text.slice(0, max)),
      subject: (row: Row) => itemBy({ id: row.item }),
      by: (row: Row) => (row.by ? authorBy({ id: row.by }) : null),
      writers: (row: Row) => (row.by ? [authorBy({ id: row.by }), authorBy({ id: 'a1' })] : []),
    },
    Book: reviewedFields(),
    Gadget: reviewedFields(),
    Author: {
      __resolveReference: authorBy,
      reviews: (row: Row) => reviews.filter((review) => review.by === row.id),
    },
  },
}

function reviewedFields() {
  return {
    __resolveReference: itemBy,
    reviews: (row: Row, { first = 9 }: Row) => reviews.filter((review) => review.item === row.id).slice(0, first),
    rating: (row: Row) => {
      const stars = reviews.filter((review) => review.item === row.id).map((review) => review.stars)
      return stars.length ? stars.reduce((a, b) => a + b, 0) / stars.length : null
    },
  }
}

/** Interfaces, unions, composite and several keys, @requires over own and nested fields, @provides, lists of lists. */
export const shop = makeWorld(
  'shop',
  { catalogue, people, stock, opinions },
  {
    Book: {
      freight: (row: Row) => row.price + (row.tags?.length ?? 100) / 8,
      label: (row: Row) => `costs ${row.price}`,
    },
    Gadget: {
      freight: (row: Row) => {
        const region = authorOf(row)?.region
        return row.price + (region?.code.length ?? 0.5) + (region?.city?.name.length ?? 0.25)
      },
    },
  },
)
