import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, describe, expect, test } from '@jest/globals'
import { buildSchema, parse } from 'graphql'
import { readGraphqlRequest } from '#platform/http/graphqlRequest.ts'
import { type AdmissionPolicy, makeAdmission } from '../../../gateway/limits/admission.ts'
import { LIMITS } from '../../../gateway/limits/limits.ts'
import { PersistedQueries } from '../../../gateway/registry/persistedQueries.ts'
import { hashOf, makeManifest, readRegisteredOperations } from '../../../gateway/registry/registeredOperations.ts'
import type { GatewayContext } from '../../../gateway/tiers/context.ts'
import { fastest } from '../../support/fastest.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})
const folderWith = (files: Record<string, string>) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'operations-'))
  folders.push(folder)
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text)
  return pathToFileURL(`${folder}/`)
}
const registered = readRegisteredOperations(folderWith({ 'one.graphql': '# why\nquery One { a }' }))
const one = registered[0]
const code = (expected: string) => expect.objectContaining({ code: expected })
const byHash = (sha256Hash: unknown, query?: string) => ({
  query,
  extensions: { persistedQuery: { version: 1, sha256Hash } },
})

describe('registered operations', () => {
  test('are the documents of a folder, listed as Apollo lists them', () => {
    expect(makeManifest(registered)).toEqual({
      format: 'apollo-persisted-query-manifest',
      version: 1,
      operations: [{ id: hashOf('query One {\n  a\n}'), name: 'One', type: 'query', body: 'query One {\n  a\n}' }],
    })
  })

  test('are all of those in the repository', () => {
    expect(readRegisteredOperations().length).toBeGreaterThan(0)
  })

  test.each<[string, Record<string, string>]>([
    ['a file without an operation', { 'a.graphql': 'fragment F on T { a }' }],
    ['a file with two', { 'a.graphql': 'query A { a } query B { b }' }],
    ['an operation without a name', { 'a.graphql': '{ a }' }],
    ['a name given twice', { 'a.graphql': 'query A { a }', 'b.graphql': 'query A { b }' }],
  ])('%s is refused by name of the file', (_what, files) => {
    expect(() => readRegisteredOperations(folderWith(files))).toThrow(/^operations\/[ab]\.graphql: /)
  })
})

describe('a document', () => {
  test('of a registered operation is found by its hash', () => {
    expect(new PersistedQueries(registered).resolve({ hash: one?.id })).toBe(one?.body)
  })

  test('that came with its hash is found by it from then on', () => {
    const queries = new PersistedQueries(registered)
    const text = '{ c }'
    expect(() => queries.resolve({ hash: hashOf(text) })).toThrow('PersistedQueryNotFound')
    expect(queries.resolve({ hash: hashOf(text), query: text })).toBe(text)
    expect(queries.resolve({ hash: hashOf(text) })).toBe(text)
  })

  test("under another's hash is refused and changes nothing", () => {
    const queries = new PersistedQueries(registered)
    expect(() => queries.resolve({ hash: one?.id, query: '{ stolen }' })).toThrow(code('INVALID_INPUT'))
    expect(() => queries.resolve({ hash: hashOf('{ d }'), query: '{ stolen }' })).toThrow(code('INVALID_INPUT'))
    expect(queries.resolve({ hash: one?.id })).toBe(one?.body)
    expect(() => queries.resolve({ hash: hashOf('{ d }') })).toThrow('PersistedQueryNotFound')
  })
})

describe('a request names its document', () => {
  const hash = 'a'.repeat(64)

  test.each<[string, object, object]>([
    ['by text', { query: '{ a }' }, { query: '{ a }', hash: undefined }],
    ['by hash, as Apollo has it', byHash(hash), { query: undefined, hash }],
    ['by hash and text', byHash(hash, '{ a }'), { query: '{ a }', hash }],
    ['by documentId', { documentId: `sha256:${hash.toUpperCase()}` }, { query: undefined, hash }],
  ])('%s', (_how, body, named) => {
    expect(readGraphqlRequest(body)).toMatchObject(named)
  })

  test.each<[string, unknown]>([
    ['nothing', {}],
    ['an empty text', { query: '' }],
    ['a text that is none', { query: ['{ a }'] }],
    ['a hash that is none', byHash('abc')],
    ['a hash that is a number', byHash(1)],
    ['another version', { extensions: { persistedQuery: { version: 2, sha256Hash: hash } } }],
    ['a list of requests', [{ query: '{ a }' }]],
  ])('%s is INVALID_INPUT', (_what, body) => {
    expect(() => readGraphqlRequest(body)).toThrow(code('INVALID_INPUT'))
  })
})

describe('admission', () => {
  const schema = buildSchema('type Query { a: Int b: Int }')
  const ask = (policy: AdmissionPolicy, query: string, kind: 'user' | 'staff' = 'user') => {
    const context = { caller: { kind } } as GatewayContext
    makeAdmission(registered, { policy, limits: LIMITS })(
      { schema, document: parse(query), operationName: undefined, variables: {} },
      context,
    )
  }

  test('lets a registered operation pass, however it is laid out', () => {
    ask('registered', 'query One { a }')
    ask('registered', 'query   One  # as I like it\n { a }')
  })

  test('refuses another under its name, and any other, unless staff ask or anything may be asked', () => {
    for (const query of ['query One { a b }', '{ a }', 'query Two { a }']) {
      expect(() => ask('registered', query)).toThrow(code('FORBIDDEN'))
      ask('registered', query, 'staff')
      ask('any', query)
    }
  })

  test('keeps staff within the limits too', () => {
    const query = `{ ${Array.from({ length: 100 }, (_, n) => `x${n}: a`).join(' ')} }`
    expect(() => ask('registered', query, 'staff')).toThrow(code('LIMIT_REACHED'))
  })

  test('takes no time over a deep document under a registered name', async () => {
    const deep = `query One ${'{ a '.repeat(1_200)}${'}'.repeat(1_200)}`
    const took = await fastest(() => expect(() => ask('registered', deep)).toThrow(code('FORBIDDEN')))
    expect(took).toBeLessThan(500)
  })
})
