import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { buildSchema, execute, type GraphQLError, type GraphQLObjectType, parse, validate } from 'graphql'
import { openOperations } from '#platform/subgraph/execution/operation.ts'
import { depot } from '../../gateway/execution/worlds/depot.ts'
import { library } from '../../gateway/execution/worlds/library.ts'
import { shop } from '../../gateway/execution/worlds/shop.ts'
import { type AnyOperation, anyOperation } from '../../support/anyOperation.ts'
import { type Chances, withMadeUpResolvers } from './madeUpResolvers.ts'

/** More of them, for a longer look: `ORACLE_RUNS=20000 npm test -- tests/platform/execution`. */
const RUNS = Number(process.env.ORACLE_RUNS ?? 100)

type Schema = Parameters<typeof openOperations>[0]
// biome-ignore lint/suspicious/noExplicitAny: answers of made-up graphs
type Answer = { data: any; errors: readonly GraphQLError[] }

async function runOurs(schema: Schema, { query, variables }: AnyOperation, context: unknown = {}): Promise<Answer> {
  const found = openOperations(schema).findByText(query, undefined)
  if ('errors' in found) throw found.errors[0]
  const outcome = await found.operation.run(variables, context)
  if ('refused' in outcome) return { data: undefined, errors: outcome.refused }
  return { data: outcome.data === null ? null : JSON.parse(outcome.data), errors: outcome.errors }
}

async function runTheirs(schema: Schema, { query, variables }: AnyOperation, contextValue: unknown = {}) {
  const answer = await execute({ schema, document: parse(query), variableValues: variables, contextValue })
  return { data: answer.data === undefined ? undefined : json(answer.data), errors: answer.errors ?? [] }
}

const json = (value: unknown) => JSON.parse(JSON.stringify(value))
const errorsOf = ({ errors }: Answer) => errors.map(({ message, path, locations }) => ({ message, path, locations }))

/** Where an answer has null because of an error: as far along the error's path as there is anything. */
function nulledPlaces({ data, errors }: Answer): string[] {
  const places = errors.map(({ path = [] }) => {
    let value = data
    let depth = 0
    while (value !== null && depth < path.length) value = value[path[depth++] as string | number]
    expect(value).toBeNull()
    return path.slice(0, depth).join('.')
  })
  return [...new Set(places)].sort()
}

describe.each([shop, library, depot])('over the schema of a $name', ({ apiSchema }) => {
  const property = (chances: Chances, check: (ours: Answer, theirs: Answer) => void) =>
    fc.asyncProperty(anyOperation(apiSchema), fc.integer(), async (operation, seed) => {
      fc.pre(validate(apiSchema, parse(operation.query)).length === 0)
      const ours = await runOurs(withMadeUpResolvers(apiSchema, seed, chances), operation)
      // GraphQL.js leaves promises alone that fail in a list which has failed already, and that would end the process.
      const theirs = await runTheirs(withMadeUpResolvers(apiSchema, seed, { ...chances, isLate: 0 }), operation)
      check(ours, theirs)
    })

  test('any operation whose fields resolve at once answers, and fails, word for word as in GraphQL.js', async () => {
    const check = property({ isLate: 0, isNull: 30, fails: 30, isWrong: 20 }, (ours, theirs) => {
      expect(ours.data).toEqual(theirs.data)
      expect(errorsOf(ours).map(withoutWords)).toEqual(errorsOf(theirs).map(withoutWords))
    })
    await fc.assert(check, { numRuns: RUNS })
  })

  test('any operation whose fields resolve sooner or later has the same data and the same failures', async () => {
    const check = property({ isLate: 400, isNull: 30, fails: 30, isWrong: 20 }, (ours, theirs) => {
      expect(ours.data).toEqual(theirs.data)
      expect(nulledPlaces(ours)).toEqual(nulledPlaces(theirs))
    })
    await fc.assert(check, { numRuns: RUNS })
  })

  test('any operation in which nothing fails has no errors', async () => {
    const check = property({ isLate: 300, isNull: 0, fails: 0, isWrong: 0 }, (ours, theirs) => {
      expect(ours).toEqual({ data: theirs.data, errors: [] })
    })
    await fc.assert(check, { numRuns: RUNS })
  })
})

/** That a value says no type is told in words of our own. */
function withoutWords({ message, ...error }: ReturnType<typeof errorsOf>[number]) {
  return { ...error, message: message.replace(/^(Abstract type|a value of) .*/, 'no type') }
}

describe('an operation', () => {
  const schema = buildSchema(`
    type Query { me: Person late: Person list(of: [Int!] = [1, 2], where: Where): [Int] text: String }
    input Where { colour: Colour = RED }
    enum Colour { RED BLUE }
    type Person { name: String! shout(loud: Boolean = false): String! friends: [Person!]! twice: String }
    type Mutation { add(what: Int!): Int! fail: Int! }
  `)
  const resolve = (type: string, field: string, resolver: unknown) =>
    Object.assign((schema.getType(type) as never as { getFields(): object }).getFields()[field as never], {
      resolve: resolver,
    })

  test('takes methods and promises of objects, and the properties they inherit', async () => {
    class Person {
      get name() {
        return Promise.resolve('Ada')
      }
      shout({ loud }: { loud: boolean }, { sign }: { sign: string }) {
        return `ADA${loud ? sign : ''}`
      }
      friends = async () => [Promise.resolve({ name: 'Bob' })]
    }
    resolve('Query', 'me', () => new Person())
    const operation = { query: '{ me { name shout a: shout(loud: true) friends { name } } }', variables: {} }
    const answer = await runOurs(schema, operation, { sign: '!' })
    expect(answer).toEqual({
      data: { me: { name: 'Ada', shout: 'ADA', a: 'ADA!', friends: [{ name: 'Bob' }] } },
      errors: [],
    })
    expect(answer).toEqual(await runTheirs(schema, operation, { sign: '!' }))
  })

  test('waits for what only begins when it is awaited', async () => {
    let begun = 0
    const begin = (done: (value: unknown) => void) => {
      begun += 1
      done({ name: `Eve ${begun}` })
    }
    // biome-ignore lint/suspicious/noThenProperty: as Prisma's promises are
    resolve('Query', 'late', () => ({ then: begin }))
    const { data } = await runOurs(schema, { query: '{ late { name } }', variables: {} })
    expect(data).toEqual({ late: { name: 'Eve 1' } })
  })

  test('reads arguments with the defaults of arguments, inputs and variables', async () => {
    resolve('Query', 'list', (_parent: unknown, args: object) => [JSON.stringify(args).length])
    resolve('Query', 'text', (_parent: unknown, _args: object) => 'x')
    const query = `query ($of: [Int!], $where: Where = {}, $colour: Colour = BLUE) {
      a: list b: list(of: $of) c: list(of: [3], where: $where) d: list(where: { colour: $colour })
    }`
    for (const variables of [{}, { of: [7, 8, 9] }, { where: null }, { colour: 'RED' }, { of: null }]) {
      const operation = { query, variables }
      expect(await runOurs(schema, operation)).toEqual(await runTheirs(schema, operation))
    }
  })

  test('reads arguments of an interface’s field with the defaults of each type that has it', async () => {
    const animals = buildSchema(`
      interface Animal { say(what: String!, often: Int): String }
      type Cat implements Animal { say(what: String!, often: Int = 1): String }
      type Dog implements Animal { say(what: String!, often: Int = 3, loud: Boolean = true): String }
      type Query { animals: [Animal!] }`)
    const say = (_animal: unknown, args: object) => JSON.stringify(args)
    for (const name of ['Cat', 'Dog']) {
      Object.assign((animals.getType(name) as GraphQLObjectType).getFields().say as object, { resolve: say })
    }
    const rows = [{ __typename: 'Cat' }, { __typename: 'Dog' }, { __typename: 'Cat' }]
    Object.assign(animals.getQueryType()?.getFields().animals as object, { resolve: () => rows })
    const operation = { query: 'query ($what: String!) { animals { say(what: $what) } }', variables: { what: 'hm' } }
    expect(await runOurs(animals, operation)).toEqual(await runTheirs(animals, operation))
  })

  test('reads arguments anew for every run', async () => {
    resolve('Query', 'list', (_parent: unknown, { of }: { of: number[] }) => of)
    const found = openOperations(schema).findByText('query ($of: [Int!]) { list(of: $of) }', undefined)
    if ('errors' in found) throw found.errors[0]
    for (const list of [[1], [2, 3]]) {
      expect(await found.operation.run({ of: list }, {})).toMatchObject({ data: JSON.stringify({ list }) })
    }
  })

  test('runs mutations one after another, and none after one that leaves no data', async () => {
    const order: string[] = []
    resolve('Mutation', 'add', async (_parent: unknown, { what }: { what: number }) => {
      order.push(`begin ${what}`)
      await new Promise((done) => setTimeout(done, 5 - what))
      order.push(`end ${what}`)
      return what
    })
    resolve('Mutation', 'fail', async () => {
      throw new Error('no')
    })
    const query = 'mutation { a: add(what: 1) b: add(what: 2) fail c: add(what: 3) }'
    const { data, errors } = await runOurs(schema, { query, variables: {} })
    expect(data).toBeNull()
    expect(errors.map(({ message, path }) => ({ message, path }))).toEqual([{ message: 'no', path: ['fail'] }])
    expect(order).toEqual(['begin 1', 'end 1', 'begin 2', 'end 2'])
  })

  test('asks for the schema itself', async () => {
    const operation = {
      query:
        '{ __schema { queryType { name } types { name fields(includeDeprecated: true) { name args { name defaultValue } } } } __type(name: "Person") { name kind } }',
      variables: {},
    }
    expect(await runOurs(schema, operation)).toEqual(await runTheirs(schema, operation))
  })

  test.each(['__proto__', 'constructor', 'toString'])('writes what has the name %s like all else', async (alias) => {
    resolve('Query', 'text', () => 'x')
    const found = openOperations(schema).findByText(`{ ${alias}: text }`, undefined)
    if ('errors' in found) throw found.errors[0]
    expect(await found.operation.run({}, {})).toEqual({ data: `{"${alias}":"x"}`, errors: [] })
    expect(({} as Record<string, unknown>).text).toBeUndefined()
  })
})
