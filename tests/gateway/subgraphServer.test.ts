import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type CallerKind, signCaller } from '#platform/caller/caller.ts'
import { currentTenant, findCurrentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { closeIdleConnections } from '#platform/graph/httpPost.ts'
import { makeServiceClient } from '#platform/graph/serviceClient.ts'
import { makeLog } from '#platform/log.ts'
import { buildSubgraph, type Subgraph } from '#platform/subgraph/subgraph.ts'
import { findFreePort } from '../support/freePort.ts'
import { DEMO, postGraphql } from '../support/graph.ts'

const SDL = `
  extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key"])
  scalar DateTime
  scalar BigInt
  enum Colour { RED DARK_BLUE }
  input Wish { colour: Colour = DARK_BLUE colours: [Colour!] = [RED] }
  type Thing @key(fields: "id") { id: ID! colour: Colour tenant: String }
  type Query {
    echo(colour: Colour = RED, wish: Wish = {}): String
    colours: [Colour!]
    instant(at: DateTime): DateTime
    big(of: BigInt): [BigInt!]
    tenant: String
    must(text: String!): String
    fail(how: String!): String
    failHard(how: String!): String!
  }
`

/** As Prisma tells of a database error: not by `cause`. */
const prismaError = (code: string) => {
  const driverAdapterError = { name: 'DriverAdapterError', cause: { originalCode: code, kind: 'postgres', code } }
  return Object.assign(new Error('secret: the statement'), { code: 'P2010', meta: { driverAdapterError } })
}

const FAILURES: Record<string, () => unknown> = {
  known: () => new AppError('CONFLICT', 'already there', { extensions: { field: 'name' }, cause: new Error('secret') }),
  internal: () => new AppError('INTERNAL', 'secret: no tenant in scope'),
  sql: () => new Error('secret: relation "campaigns" does not exist at 10.0.0.1'),
  unreachable: () => Object.assign(new Error('secret: connect ECONNREFUSED 10.0.0.1:5432'), { code: 'ECONNREFUSED' }),
  slow: () => new Error('wrapped', { cause: Object.assign(new Error('secret: statement timeout'), { code: '57014' }) }),
  slowPrisma: () => prismaError('57014'),
  nul: () => prismaError('22021'),
  text: () => 'secret text',
}

let subgraph: Subgraph
let url: string
let folder: string
let ready = true
const edge = { from: 'gateway', to: 'oltp', key: Buffer.alloc(32, 1) } as const

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'subgraph-'))
  writeFileSync(path.join(folder, 'schema.graphql'), SDL)
  const fail = (_parent: unknown, { how }: { how: string }) => {
    throw FAILURES[how]?.()
  }
  subgraph = await buildSubgraph({
    tier: 'oltp',
    schemaPath: path.join(folder, 'schema.graphql'),
    callerKeys: new Map([['gateway', edge.key]]),
    makeContext: (base) => base,
    ready: async () => {
      if (!ready) throw new Error('secret: the database at 10.0.0.1 is down')
    },
    log: makeLog('test', 'silent'),
    bodyLimit: 10_000,
    resolvers: {
      Query: {
        echo: (_parent: unknown, args: object) => JSON.stringify(args),
        colours: () => ['red', 'dark_blue'],
        instant: (_parent: unknown, { at }: { at?: Date }) => at ?? new Date(Date.UTC(2026, 0, 2, 3, 4, 5)),
        big: (_parent: unknown, { of }: { of?: bigint | number }) => [of ?? 0, 9_007_199_254_740_993n, 7n, '8'],
        tenant: async () => {
          await new Promise(setImmediate)
          return currentTenant()
        },
        must: (_parent: unknown, { text }: { text: string }) => text,
        fail,
        failHard: fail,
      },
      Thing: {
        __resolveReference: ({ id }: { id: string }) => ({ id, colour: 'dark_blue', tenant: findCurrentTenant() }),
      },
    },
  })
  const port = await findFreePort()
  await subgraph.app.listen({ host: '127.0.0.1', port })
  url = `http://127.0.0.1:${port}/graphql`
})
afterAll(async () => {
  closeIdleConnections()
  await subgraph.close()
  rmSync(folder, { recursive: true })
})

const header = (kind: CallerKind = 'user', tenantId: string | null = DEMO.tenantId) => ({
  'x-penguin-caller': signCaller({ kind, tenantId, userId: null, roles: [], requestId: 'request-7' }, edge),
})
const ask = (query: string, variables = {}, headers: Record<string, string> = header()) =>
  postGraphql(url, { query, variables }, headers)

describe('a tier’s schema', () => {
  test('has enums in capitals outside and lower case inside, by default values too', async () => {
    const { data } = await ask('{ default: echo colours given: echo(colour: DARK_BLUE, wish: { colour: RED }) }')
    expect(JSON.parse(data.default)).toEqual({ colour: 'red', wish: { colour: 'dark_blue', colours: ['red'] } })
    expect(JSON.parse(data.given)).toEqual({ colour: 'dark_blue', wish: { colour: 'red', colours: ['red'] } })
    expect(data.colours).toEqual(['RED', 'DARK_BLUE'])
    const wrong = await ask('{ echo(colour: dark_blue) }')
    expect(wrong.errors?.[0]?.extensions.code).toBe('INVALID_INPUT')
  })

  test('writes instants with milliseconds in UTC, and whole numbers without loss', async () => {
    const { data } = await ask('query ($at: DateTime) { now: instant given: instant(at: $at) big(of: 9) }', {
      at: '2026-05-06T07:08:09.123+02:00',
    })
    expect(data).toEqual({
      now: '2026-01-02T03:04:05.000Z',
      given: '2026-05-06T05:08:09.123Z',
      big: [9, '9007199254740993', 7, 8],
    })
    expect((await ask('{ big(of: "1.5") }')).errors?.[0]?.extensions.code).toBe('INVALID_INPUT')
  })

  test('takes no instant before the year 1, which no database column could be compared with', async () => {
    const query = 'query ($at: DateTime) { instant(at: $at) }'
    expect((await ask(query, { at: '0001-01-01T00:00:00Z' })).data.instant).toBe('0001-01-01T00:00:00.000Z')
    const early = [ask(query, { at: '0000-12-31T23:59:59Z' }), ask('{ instant(at: "0001-01-01T00:00:00+01:00") }')]
    for (const { errors } of await Promise.all(early)) expect(errors?.[0]?.extensions.code).toBe('INVALID_INPUT')
  })

  test('refuses resolvers of fields that are not in it', async () => {
    const build = buildSubgraph({
      tier: 'oltp',
      schemaPath: path.join(folder, 'schema.graphql'),
      callerKeys: new Map(),
      makeContext: (base) => base,
      ready: async () => {},
      resolvers: { Query: { colors: () => [] }, Thin: {}, Thing: { __isTypeOf: () => true } },
    })
    await expect(build).rejects.toThrow('resolvers of nothing in the schema: Query.colors, Thin, Thing.__isTypeOf')
  })
})

describe('an operation', () => {
  test('runs wholly in its caller’s tenant, entities too', async () => {
    const { data } = await ask(
      'query ($r: [_Any!]!) { tenant _entities(representations: $r) { ... on Thing { id colour tenant } } }',
      { r: [{ __typename: 'Thing', id: '1' }] },
    )
    expect(data.tenant).toBe(DEMO.tenantId)
    expect(data._entities).toEqual([{ id: '1', colour: 'DARK_BLUE', tenant: DEMO.tenantId }])
  })

  test.each<CallerKind>(['staff', 'service'])('of %s without a tenant has none in scope', async (kind) => {
    const { data, errors } = await ask('{ tenant }', {}, header(kind, null))
    expect(data).toEqual({ tenant: null })
    expect(errors).toEqual([
      {
        message: 'internal error',
        path: ['tenant'],
        locations: [{ line: 1, column: 3 }],
        extensions: { code: 'INTERNAL' },
      },
    ])
  })

  test('of a service for a tenant runs in it, and comes back through the client', async () => {
    const client = makeServiceClient({ ...edge, url })
    const tenantId = DEMO.tenantId
    expect(await client.request('{ tenant }', {}, { tenantId })).toEqual({ tenant: tenantId })
    await expect(client.request('{ fail(how: "known") }')).rejects.toMatchObject({
      code: 'CONFLICT',
      message: 'already there',
      extensions: { field: 'name', tier: 'oltp' },
    })
    const nowhere = makeServiceClient({ ...edge, url: `http://127.0.0.1:${await findFreePort()}/graphql` })
    await expect(nowhere.request('{ tenant }')).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      extensions: { tier: 'oltp' },
    })
    const stranger = makeServiceClient({ ...edge, key: Buffer.alloc(32, 2), url })
    await expect(stranger.request('{ tenant }')).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
  })

  test('answers with the caller’s request id', async () => {
    expect((await ask('{ tenant }')).headers.get('x-request-id')).toBe('request-7')
  })
})

const REFERENCES = {
  r: [
    { __typename: 'Thing', id: '1' },
    { __typename: 'Thing', id: '2' },
  ],
}
const UNKNOWN = { r: [{ __typename: 'Nothing', id: '1' }] }

describe('an error', () => {
  test.each([
    ['known', 'CONFLICT', 'already there'],
    ['internal', 'INTERNAL', 'internal error'],
    ['sql', 'INTERNAL', 'internal error'],
    ['text', 'INTERNAL', 'internal error'],
    ['unreachable', 'UNAVAILABLE', 'the database does not answer'],
    ['slow', 'UNAVAILABLE', 'the database does not answer'],
    ['slowPrisma', 'UNAVAILABLE', 'the database does not answer'],
    ['nul', 'INVALID_INPUT', 'a text holds a NUL character'],
  ])('that is %s leaves as %s', async (how, code, message) => {
    for (const field of ['fail', 'failHard']) {
      const { errors, text, status } = await ask(`query ($how: String!) { ${field}(how: $how) }`, { how })
      expect(status).toBe(200)
      expect(errors?.[0]).toMatchObject({ message, path: [field], extensions: { code } })
      expect(text).not.toMatch(/secret|stack|node_modules/)
    }
  })

  test.each([
    ['a syntax error', '{', {}],
    ['an unknown field', '{ nothing }', {}],
    ['a wrong enum value', '{ echo(colour: PINK) }', {}],
    ['a wrong variable', 'query ($at: DateTime) { instant(at: $at) }', { at: 'yesterday' }],
    ['a missing variable', 'query ($t: String!) { must(text: $t) }', {}],
    ['a missing operation', 'query a { tenant } query b { tenant }', {}],
    ['an empty query', '', {}],
  ])('of the client’s own (%s) is INVALID_INPUT', async (_what, query, variables) => {
    const { errors, text } = await ask(query, variables)
    expect(errors?.[0]?.extensions.code).toBe('INVALID_INPUT')
    expect(text).not.toMatch(/stack|node_modules/)
  })

  test('before GraphQL begins has the same form', async () => {
    const post = async (body: unknown, contentType = 'application/json') => {
      const { status, errors } = await postGraphql(url, body, { ...header(), 'content-type': contentType })
      return [status, errors?.[0]?.extensions.code]
    }
    expect(await post('not json')).toEqual([400, 'INVALID_INPUT'])
    expect(await post('[]')).toEqual([400, 'INVALID_INPUT'])
    expect(await post('')).toEqual([400, 'INVALID_INPUT'])
    expect(await post('{}', 'text/plain')).toEqual([400, 'INVALID_INPUT'])
    expect(await post({ query: `{ tenant } #${'x'.repeat(10_000)}` })).toEqual([413, 'LIMIT_REACHED'])
    const elsewhere = await postGraphql(url.replace('graphql', 'nothing'), {}, {})
    expect([elsewhere.status, elsewhere.errors?.[0]?.extensions.code]).toEqual([404, 'NOT_FOUND'])
  })
})

describe('a traced request, which GraphQL.js runs,', () => {
  test.each([
    ['values of every kind', '{ echo colours instant big(of: 9) tenant }', {}],
    [
      'entities',
      'query ($r: [_Any!]!) { _entities(representations: $r) { ... on Thing { id colour tenant } } }',
      REFERENCES,
    ],
    ['errors', '{ a: fail(how: "known") b: fail(how: "sql") tenant }', {}],
    ['an error that leaves no data', '{ tenant failHard(how: "known") }', {}],
    ['an entity of no type', 'query ($r: [_Any!]!) { _entities(representations: $r) { __typename } }', UNKNOWN],
    ['an operation that is refused', '{ nothing }', {}],
    ['variables that are wrong', 'query ($at: DateTime) { instant(at: $at) }', { at: 'yesterday' }],
    ['the schema', '{ _service { sdl } __schema { queryType { name } } }', {}],
  ])('answers as every other does: %s', async (_what, query, variables) => {
    const plain = await ask(query, variables)
    const traced = await ask(query, variables, { ...header(), 'apollo-federation-include-trace': 'ftv1' })
    const { ftv1, ...others } = (traced.extensions ?? {}) as { ftv1?: string }
    expect(traced).toMatchObject({ status: plain.status, data: plain.data })
    expect(traced.errors).toEqual(plain.errors)
    expect([typeof ftv1, others]).toEqual(['string', {}])
  })

  test('is one by GET too', async () => {
    const headers = { ...header(), 'apollo-require-preflight': 'true' }
    const answer = await fetch(`${url}?query={tenant}`, { headers })
    expect(await answer.json()).toEqual({ data: { tenant: DEMO.tenantId } })
  })
})

test('health tells whether the tier can work, and nothing of why it cannot', async () => {
  const page = async (name: string) => {
    const response = await fetch(url.replace('graphql', `health/${name}`))
    return [response.status, await response.json()]
  }
  expect(await page('live')).toEqual([200, { status: 'live' }])
  expect(await page('ready')).toEqual([200, { status: 'ready' }])
  ready = false
  expect(await page('live')).toEqual([200, { status: 'live' }])
  expect(await page('ready')).toEqual([503, { status: 'not ready' }])
})
