import { beforeAll, describe, expect, test } from '@jest/globals'
import { GraphQLError } from 'graphql'
import type { Fetcher } from '../../../gateway/execution/execution.ts'
import { openOperations } from '../../../gateway/execution/operation.ts'
import { readSupergraph } from '../../../gateway/execution/supergraph.ts'
import { startOwnGateway } from './ownGateway.ts'
import { depot } from './worlds/depot.ts'
import { library } from './worlds/library.ts'
import { shop } from './worlds/shop.ts'
import type { World } from './worlds/world.ts'

const worlds = new Map<World, ReturnType<typeof startOwnGateway>>()
beforeAll(() => {
  for (const world of [shop, library, depot]) worlds.set(world, startOwnGateway(world))
}, 60_000)

async function ask(world: World, query: string, variables: Record<string, unknown> = {}) {
  const answer = await worlds.get(world)?.({ query, variables })
  if (!answer) throw new Error('there is no such world')
  return answer
}

/** An executor over subgraphs that answer whatever they are told to; remembers what they are asked. */
function startTold(world: World, answers: Record<string, unknown>) {
  const asked: { subgraph: string; variables: Record<string, unknown> }[] = []
  const fetchers = new Map(
    world.subgraphs.map((subgraph): [string, Fetcher<undefined>] => [
      subgraph,
      async (body) => {
        asked.push({ subgraph, variables: JSON.parse(body).variables })
        return JSON.parse(JSON.stringify(answers[subgraph] ?? {}))
      },
    ]),
  )
  const operations = openOperations<undefined>({
    supergraph: readSupergraph(world.supergraphSdl),
    fetchers,
    maxTokens: 999,
  })
  const run = async (query: string) => {
    const found = operations.findByText(query, undefined)
    if ('errors' in found) throw found.errors[0]
    const outcome = await found.operation.run({}, undefined)
    if ('errors' in outcome) throw outcome.errors[0]
    return { data: JSON.parse(String(outcome.data)), faults: outcome.faults }
  }
  return { run, asked }
}

describe('where the stock gateway is wrong, the graph in one piece decides:', () => {
  test.each<[string, World, string]>([
    ['one field required with two sets of arguments', depot, '{ parcels { freight duty } }'],
    ['a field required with arguments and asked without', depot, '{ parcels { freight weight price plain } }'],
    ['arguments required below an object', depot, '{ parcels { fits sizes box { side } } }'],
    ['an alias that is a key', shop, '{ items { id: name ... on Book { reviews { id: text stars } } } }'],
    ['an alias that is a required field', depot, '{ parcels { weight: van plain price: van duty } }'],
    [
      'fragments on a union within fragments on its members',
      shop,
      '{ broken { reviews { ... on Opinion { ... on Review { stars } } } } }',
    ],
    [
      'an object of which all is left out',
      library,
      '{ users { id @include(if: false) } films { title @skip(if: true) } }',
    ],
  ])('%s', async (_what, world, query) => {
    const { data, errors } = await world.askWhole({ query })
    expect(errors).toBeUndefined()
    expect(await ask(world, query)).toEqual({ data, errors: [] })
  })

  test('an error in a list of several types is where its row is, also under an alias that is a key', async () => {
    const query = '{ search { ... on Book { id: isbn reviews { stars } } ... on Author { name } } }'
    const faults = (name: string) => (name === 'Book:b1.reviews' ? ('throws' as const) : undefined)
    const { errors } = (await worlds.get(shop)?.({ query }, faults)) ?? { errors: [] }
    expect(errors.map(({ path }) => path)).toEqual([
      ['search', 2, 'reviews'],
      ['search', 5, 'reviews'],
    ])
  })
})

describe('introspection', () => {
  test('is answered wherever fragments put it, together with data', async () => {
    const query = `query ($name: String!, $no: Boolean = false) { ...A items(first: 1) { id } constructor: __schema { queryType { name } } }
      fragment A on Query { ... { __type(name: $name) { name fields { name } } } more: __schema @include(if: $no) { types { name } } ...B }
      fragment B on Query { constructor: __schema { mutationType { name } } __typename }`
    const { data, errors } = await ask(shop, query, { name: 'Region' })
    expect(errors).toEqual([])
    expect(data).toEqual({
      __type: { name: 'Region', fields: [{ name: 'code' }, { name: 'city' }] },
      constructor: { mutationType: null, queryType: { name: 'Query' } },
      __typename: 'Query',
      items: [{ id: 'b1' }],
    })
  })

  test('knows nothing of what is inaccessible, and neither do operations', async () => {
    const { data } = await ask(
      shop,
      '{ author: __type(name: "Author") { fields { name } } kind: __type(name: "Kind") { enumValues { name } } }',
    )
    expect(JSON.stringify(data)).not.toMatch(/secret|OLD/)
    expect((await ask(shop, '{ me { secret } }')).errors).toHaveLength(1)
    expect((await ask(shop, '{ items(kind: OLD) { id } }')).errors).toHaveLength(1)
  })
})

describe('what is not run is refused in so many words:', () => {
  test.each([
    ['an alias that is reserved', '{ __proto__: me { id } }', 'reserved'],
    ['a variable that is reserved', 'query ($__proto__: ID!) { item(id: $__proto__) { id } }', 'reserved'],
    ['a fragment that is reserved', '{ ...__proto__ } fragment __proto__ on Query { me { id } }', 'reserved'],
    ['a text that does not parse', '{ me {', 'Syntax Error'],
    ['@defer', '{ ... @defer { me { id } } }', 'Unknown directive "@defer"'],
    ['several operations without a name', 'query A { me { id } } query B { me { id } }', 'operation name'],
  ])('%s', async (_what, query, message) => {
    const { data, errors } = await ask(shop, query)
    expect(data).toBeNull()
    expect(errors[0]?.message).toContain(message)
    expect(({} as Record<string, unknown>).id).toBeUndefined()
  })

  test('an operation that is not in the document', () => {
    const found = worlds.get(shop)?.operations.findByText('query A { me { id } }', 'B')
    expect(found).toEqual({ errors: [expect.any(GraphQLError)] })
  })
})

describe('a subgraph', () => {
  test('is sent each distinct representation once, and its answer goes to every place', async () => {
    const authors = ['a1', 'a2', 'a1', 'a1'].map((id) => ({ __typename: 'Author', id }))
    const { run, asked } = startTold(shop, {
      catalogue: { data: { authors } },
      people: { data: { _entities: [{ name: 'Ada' }, { name: 'Bo' }] } },
    })
    expect((await run('{ authors { name } }')).data.authors.map((author: { name: string }) => author.name)).toEqual([
      'Ada',
      'Bo',
      'Ada',
      'Ada',
    ])
    expect(asked[1]?.variables).toEqual({ representations: authors.slice(0, 2) })
  })

  test('cannot change what objects inherit, whatever it sends', async () => {
    const evil =
      '{"data":{"me":{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"name":"Ada","level":1}}}'
    const { run } = startTold(shop, { people: JSON.parse(evil) })
    expect((await run('{ me { name level } }')).data).toEqual({ me: { name: 'Ada', level: 1 } })
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })

  test.each<[string, unknown]>([
    ['too few entities', { data: { _entities: [] } }],
    ['entities that are no list', { data: { _entities: 'x' } }],
    ['no entities', { data: {} }],
  ])('that answers %s has failed, and the rest arrives', async (_what, people) => {
    const { run } = startTold(shop, { catalogue: { data: { authors: [{ __typename: 'Author', id: 'a1' }] } }, people })
    const { data, faults } = await run('{ authors { id bestFriend { id } } }')
    expect(data).toEqual({ authors: [{ id: 'a1', bestFriend: null }] })
    expect(faults).toMatchObject([{ extensions: { serviceName: 'people' } }])
  })

  test.each<[string, unknown, unknown]>([
    ['a list for an object', { me: [] }, { me: null }],
    ['text for an object', { me: 'x' }, { me: null }],
    ['an object for a leaf', { me: { name: {}, level: 1 } }, { me: null }],
    ['text for a number', { me: { name: 'Ada', level: '1' } }, { me: null }],
    ['a fraction for a whole number', { me: { name: 'Ada', level: 1.5 } }, { me: null }],
    ['nothing', {}, { me: null }],
  ])('that sends %s is not passed on', async (_what, data, expected) => {
    const { run } = startTold(shop, { people: { data } })
    expect((await run('{ me { name level } }')).data).toEqual(expected)
  })

  test('that sends errors of any form is survived', async () => {
    const errors = [null, 'text', { message: 5, path: 'x' }, { message: 'm', path: ['me', {}] }, { path: ['me'] }]
    const { run } = startTold(shop, { people: { data: { me: null }, errors } })
    const { faults } = await run('{ me { name } }')
    expect(faults).toHaveLength(5)
    expect(faults.map(({ path }) => path)).toEqual([undefined, undefined, undefined, undefined, ['me']])
  })
})

test('mutations run one after another, in the order they are written', async () => {
  const order: string[] = []
  const supergraph = readSupergraph(library.supergraphSdl)
  const fetchers = new Map(
    library.subgraphs.map((name): [string, Fetcher<undefined>] => [
      name,
      async (body) => {
        order.push(`${name} begins`)
        await new Promise((resolve) => setTimeout(resolve, name === 'accounts' ? 20 : 1))
        order.push(`${name} ends`)
        return library.ask(name, JSON.parse(body), () => undefined)
      },
    ]),
  )
  const found = openOperations<undefined>({ supergraph, fetchers, maxTokens: 999 }).findByText(
    'mutation { greet { text } reset again: greet(name: "x") { text } }',
    undefined,
  )
  if ('errors' in found) throw found.errors[0]
  const outcome = await found.operation.run({}, undefined)
  expect('data' in outcome && outcome.data).toBe(
    '{"greet":{"text":"hello you"},"reset":false,"again":{"text":"hello x"}}',
  )
  expect(order).toEqual(['accounts', 'views', 'accounts'].flatMap((name) => [`${name} begins`, `${name} ends`]))
})
