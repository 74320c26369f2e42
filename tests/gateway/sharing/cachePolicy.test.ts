import { composeServices } from '@apollo/composition'
import { describe, expect, test } from '@jest/globals'
import { parse } from 'graphql'
import { openOperations } from '../../../gateway/execution/operation.ts'
import { readSupergraph } from '../../../gateway/execution/supergraph.ts'

const HEAD = `extend schema
  @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@composeDirective"])
  @link(url: "https://penguinmails.com/cacheControl/v1.0", import: ["@cacheControl"])
  @composeDirective(name: "@cacheControl")
directive @cacheControl(maxAge: Int, scope: cacheControl__Scope, inheritMaxAge: Boolean)
  on FIELD_DEFINITION | OBJECT | INTERFACE | UNION
enum cacheControl__Scope { PUBLIC PRIVATE }
`
const BOOKS = `
type Query {
  books: [Book!] @cacheControl(maxAge: 60)
  shelves: [Shelf!]
  count: Int
  motto: String @cacheControl(maxAge: 500)
  things: [Thing!] @cacheControl(maxAge: 90)
  either: Either @cacheControl(maxAge: 80)
}
type Mutation { sell: Boolean }
type Book @key(fields: "id") { id: ID! title: String author: Author publisher: Publisher mine: Boolean @cacheControl(scope: PRIVATE) }
type Author { name: String @cacheControl(maxAge: 10) born: Int }
type Publisher @cacheControl(inheritMaxAge: true) { name: String }
type Shelf @cacheControl(maxAge: 40) { place: String books: [Book!] @cacheControl(inheritMaxAge: true) }
interface Thing { name: String }
type Stone implements Thing { name: String @cacheControl(maxAge: 7) }
type Leaf implements Thing { name: String }
union Either = Leaf | Stone`
const PRICES = `type Book @key(fields: "id") { id: ID! price: Int @cacheControl(maxAge: 5) }`

const composed = composeServices(
  Object.entries({ books: BOOKS, prices: PRICES }).map(([name, sdl]) => ({
    ...{ name, url: `http://${name}`, typeDefs: parse(HEAD + sdl) },
  })),
)
if (composed.errors) throw composed.errors[0]
const fetchers = new Map(['books', 'prices'].map((name) => [name, async () => ({})]))
const operations = openOperations({ supergraph: readSupergraph(composed.supergraphSdl), fetchers, maxTokens: 1_000 })

function policyOf(query: string, operationName?: string) {
  const found = operations.findByText(query, operationName)
  if ('errors' in found) throw found.errors[0]
  return found.operation.cachePolicy
}
const ageOf = (query: string, operationName?: string) => policyOf(query, operationName).maxAgeSeconds

describe('an answer may be kept', () => {
  test.each([
    ['as long as its field allows', '{ books { title } }', 60],
    ['as long as the field that allows least', '{ books { title } motto }', 60],
    ['as long as a field of another subgraph allows', '{ books { title price } }', 5],
    ['as long as the type allows, where the field says nothing', '{ shelves { place } }', 40],
    [
      'as long as what its objects stand in, where they say so',
      '{ shelves { books { title publisher { name } } } }',
      40,
    ],
    ['as long as any type allows that an interface’s field may be of', '{ things { name } }', 7],
    ['as long as the members of a union allow that are asked', '{ either { ... on Leaf { name } } }', 80],
    ['as long as a fragment’s fields allow', '{ books { ...b } } fragment b on Book { price }', 5],
    ['not at all, where objects say nothing', '{ books { author { name } } }', 0],
    ['not at all, where a root field says nothing', '{ count }', 0],
    [
      'not at all, whatever a condition would leave out',
      'query ($no: Boolean!) { books { title } count @include(if: $no) }',
      0,
    ],
    ['not at all, where nothing but names of types is asked', '{ __typename }', 0],
    ['not at all, where it is a change’s', 'mutation { sell }', 0],
  ])('%s', (_how, query, seconds) => {
    expect(ageOf(query)).toBe(seconds)
  })

  test('as its own operation says, whatever others stand in the document', () => {
    const document = 'query a { books { title } } query b { count }'
    expect([ageOf(document, 'a'), ageOf(document, 'b')]).toEqual([60, 0])
  })

  test('for everybody of a tenant, unless one of its fields is one user’s', () => {
    expect(policyOf('{ books { title } }').scope).toBe('PUBLIC')
    expect(policyOf('{ books { title mine } }').scope).toBe('PRIVATE')
  })
})
