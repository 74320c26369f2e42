import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, describe, expect, test } from '@jest/globals'
import { PersistedQueries } from '../../../gateway/registry/persistedQueries.ts'
import { hashOf, makeManifest, readRegisteredOperations } from '../../../gateway/registry/registeredOperations.ts'

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
    ['a subscription', { 'a.graphql': 'subscription A { a }' }],
    ['a name given twice', { 'a.graphql': 'query A { a }', 'b.graphql': 'query A { b }' }],
  ])('%s is refused by name of the file', (_what, files) => {
    expect(() => readRegisteredOperations(folderWith(files))).toThrow(/^operations\/[ab]\.graphql: /)
  })
})

describe('where only registered operations may be asked', () => {
  test('one is found by hash, by id and by text', () => {
    const queries = new PersistedQueries(registered)
    for (const request of [
      byHash(one?.id),
      { documentId: one?.id },
      { documentId: `sha256:${one?.id}` },
      { query: one?.body },
    ]) {
      expect(queries.find(request, 'registered')).toEqual({ text: one?.body, isRegistered: true })
    }
  })

  test('another is refused, also one that has been remembered before', () => {
    const queries = new PersistedQueries(registered)
    const other = 'query Other { b }'
    queries.find(byHash(hashOf(other), other), 'any')
    expect(() => queries.find({ query: other }, 'registered')).toThrow(code('FORBIDDEN'))
    expect(() => queries.find(byHash(hashOf(other), other), 'registered')).toThrow(code('FORBIDDEN'))
    expect(() => queries.find(byHash(hashOf(other)), 'registered')).toThrow('PersistedQueryNotFound')
  })
})

describe('where any operation may be asked', () => {
  test('a text is remembered under its hash', () => {
    const queries = new PersistedQueries(registered)
    const text = '{ c }'
    expect(() => queries.find(byHash(hashOf(text)), 'any')).toThrow('PersistedQueryNotFound')
    queries.find(byHash(hashOf(text), text), 'any')
    expect(queries.find(byHash(hashOf(text)), 'any')).toEqual({ text, isRegistered: false })
  })

  test("a text under another's hash is refused and changes nothing", () => {
    const queries = new PersistedQueries(registered)
    expect(() => queries.find(byHash(one?.id, '{ stolen }'), 'any')).toThrow(code('INVALID_INPUT'))
    expect(() => queries.find(byHash(hashOf('{ d }'), '{ stolen }'), 'any')).toThrow(code('INVALID_INPUT'))
    expect(queries.find(byHash(one?.id), 'any').text).toBe(one?.body)
    expect(() => queries.find(byHash(hashOf('{ d }')), 'any')).toThrow('PersistedQueryNotFound')
  })

  test.each<[string, object]>([
    ['nothing', {}],
    ['an empty text', { query: '' }],
    ['a text that is none', { query: ['{ a }'] }],
    ['a hash that is none', byHash('abc')],
    ['a hash that is a number', byHash(1)],
    ['another version', { extensions: { persistedQuery: { version: 2, sha256Hash: 'a'.repeat(64) } } }],
  ])('%s is INVALID_INPUT', (_what, request) => {
    expect(() => new PersistedQueries(registered).find(request, 'any')).toThrow(code('INVALID_INPUT'))
  })
})
