import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { TIERS } from '#platform/contracts/tiers.ts'
import { renderGraphDocument } from '#platform/graph/graphDocument.ts'
import { readCommittedGraph } from '#platform/graph/supergraph.ts'
import { PROJECT_ROOT } from '#platform/prisma/freshness.ts'
import { listReferences, renderSchemaDocument, type Schemas } from '#platform/prisma/schemaDocument.ts'
import { readSchema } from '#platform/prisma/schemaFile.ts'

const schemas = Object.fromEntries(TIERS.map((tier) => [tier, readSchema(tier)])) as Schemas

describe.each(TIERS)('the schema document of %s', (tier) => {
  test('is what cli/docs.ts writes from schema.prisma', () => {
    const document = readFileSync(new URL(`docs/schema/${tier}.md`, PROJECT_ROOT), 'utf8')
    expect(document).toBe(renderSchemaDocument(tier, schemas))
  })

  test('says of every index which query it serves', () => {
    const silent = schemas[tier].flatMap(({ name, indexes }) =>
      indexes
        .filter(({ kind, comment }) => kind === 'index' && comment === '')
        .map(({ columns }) => `${name} (${columns.map((column) => column.name).join(', ')})`),
    )
    expect(silent).toEqual([])
  })

  test("names only tables that exist where it names another tier's", () => {
    const known = new Set(TIERS.flatMap((other) => schemas[other].map(({ name }) => `${other}.${name}`)))
    const comments = schemas[tier].flatMap(({ comment, columns }) => [comment, ...columns.map((one) => one.comment)])
    const unknown = comments.flatMap(listReferences).filter((reference) => !known.has(reference))
    expect(unknown).toEqual([])
  })
})

test('the page of what the graph can be asked is what cli/docs.ts writes from the schemas', () => {
  expect(readFileSync(new URL('docs/graph.md', PROJECT_ROOT), 'utf8')).toBe(renderGraphDocument(readCommittedGraph()))
})
