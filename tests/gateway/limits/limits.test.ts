import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { buildSchema, getIntrospectionQuery, parse } from 'graphql'
import { LIMITS, measureDocument, refuseBeyondLimits } from '../../../gateway/limits/limits.ts'
import { fastest } from '../../support/fastest.ts'

const schema = buildSchema(`
  type Query { campaigns(first: Int = 20): CampaignConnection campaign(id: ID!): Campaign node: Node }
  interface Node { id: ID! self: Node }
  type CampaignConnection { nodes: [Campaign!]! totalCount: Int! }
  type Campaign implements Node { id: ID! self: Node name: String! steps: [Step!]! messages(first: Int = 20): MessageConnection! }
  type Step { id: ID! campaign: Campaign }
  type MessageConnection { nodes: [Message!]! }
  type Message { id: ID! campaign: Campaign }
`)
const measure = (query: string, variables?: Record<string, unknown>, operationName?: string) => {
  const { measure: found } = measureDocument(schema, parse(query), { variables, operationName })
  refuseBeyondLimits(found, LIMITS)
  return found
}

describe('what an operation asks for', () => {
  test('is counted through fragments, however they are spread', () => {
    expect(
      measure('{ campaign(id: 1) { ...Named ... on Campaign { b: id } } } fragment Named on Campaign { name }'),
    ).toEqual({ depth: 2, fields: 3, aliases: 1, directives: 0, cost: 1 })
  })

  test.each([
    ['a page counts for its rows', '{ campaigns(first: 3) { nodes { steps { id } } } }', {}, 1 + 3 * (1 + 1)],
    ['a page without a length counts for its default', '{ campaigns { nodes { id } } }', {}, 1 + 20],
    ['a length in a variable is read', 'query($n: Int) { campaigns(first: $n) { nodes { id } } }', { n: 7 }, 1 + 7],
    [
      'a length beyond what a tier gives counts for the longest',
      '{ campaigns(first: 9999) { nodes { id } } }',
      {},
      101,
    ],
    [
      'a length that is none counts for the longest',
      'query($n: Int) { campaigns(first: $n) { nodes { id } } }',
      { n: 'x' },
      101,
    ],
    [
      'lists within lists multiply',
      '{ campaigns(first: 2) { nodes { messages(first: 5) { nodes { id } } } } }',
      {},
      1 + 2 * (1 + 1 + 5),
    ],
    ['a plain list counts for ten', '{ campaign(id: 1) { steps { campaign { id } } } }', {}, 1 + (1 + 10 * 1)],
  ])('%s', (_what, query, variables, cost) => {
    expect(measure(query, variables).cost).toBe(cost)
  })
})

test('whether other variables make other figures is told', () => {
  const reads = (query: string) => measureDocument(schema, parse(query), {}).readsVariables
  expect(reads('query($n: Int) { campaigns(first: $n) { nodes { id } } }')).toBe(true)
  expect(reads('query($id: ID!) { campaign(id: $id) { messages(first: 3) { nodes { id } } } }')).toBe(false)
})

describe('what is refused', () => {
  const nested = (depth: number) => `{ node ${'{ self '.repeat(depth - 1)} { id } ${'}'.repeat(depth - 1)} }`
  const bomb = (links: number) =>
    `{ node { ...F0 } } ${Array.from({ length: links }, (_, n) => `fragment F${n} on Node { a: self { ...F${n + 1} } b: self { ...F${n + 1} } }`).join(' ')} fragment F${links} on Node { id }`

  test.each([
    ['depth 20', nested(20), 'depth'],
    [
      'an alias a hundred times',
      `{ ${Array.from({ length: 100 }, (_, n) => `a${n}: campaign(id: 1) { id }`).join(' ')} }`,
      'aliases',
    ],
    ['five hundred directives', `{ campaign(id: 1) { id ${'@include(if: true) '.repeat(500)} } }`, 'directives'],
    ['a field ten thousand times', `{ campaign(id: 1) { ${'id '.repeat(10_000)} } }`, 'fields'],
    [
      'too many rows',
      '{ campaigns(first: 100) { nodes { messages(first: 100) { nodes { campaign { steps { id } } } } } } }',
      'cost',
    ],
  ])('%s, by limit', (_what, query, limit) => {
    expect(() => measure(query)).toThrow(
      expect.objectContaining({
        code: 'LIMIT_REACHED',
        extensions: { limit, max: LIMITS[limit as keyof typeof LIMITS] },
      }),
    )
  })

  test('a fragment bomb that would spread to 2^14 fields, and one to 2^200, without spreading it', async () => {
    const took = await fastest(() => {
      expect(() => measure(bomb(14))).toThrow(expect.objectContaining({ code: 'LIMIT_REACHED' }))
      expect(() => measure(bomb(200))).toThrow(expect.objectContaining({ code: 'LIMIT_REACHED' }))
    })
    expect(took).toBeLessThan(500)
  })

  test.each([
    [
      'fragments in a circle',
      '{ node { ...A } } fragment A on Node { self { ...B } } fragment B on Node { self { ...A } }',
    ],
    ['a fragment within itself', '{ node { ...A } } fragment A on Node { ...A }'],
    ['the alias __proto__', '{ __proto__: campaign(id: 1) { id } }'],
    ['an alias like __typename in a fragment', '{ node { ...A } } fragment A on Node { __typename: id }'],
    ['no operation', 'fragment A on Node { id }'],
    ['two operations without a name', 'query A { node { id } } query B { node { id } }'],
  ])('%s', (_what, query) => {
    expect(() => measure(query)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }))
  })

  test('a name that no operation has', () => {
    expect(() => measure('query A { node { id } }', {}, 'B')).toThrow(
      expect.objectContaining({ code: 'INVALID_INPUT' }),
    )
  })
})

describe('what is let through', () => {
  test('a whole introspection', () => {
    expect(
      measure(getIntrospectionQuery({ inputValueDeprecation: true, specifiedByUrl: true })).depth,
    ).toBeLessThanOrEqual(LIMITS.depth)
  })

  test('what clients ask', () => {
    const query = readFileSync(new URL('../../../operations/crossTierCampaigns.graphql', import.meta.url), 'utf8')
    expect(measure(query).depth).toBeLessThan(LIMITS.depth)
  })
})
