import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { TIERS } from '#platform/contracts/tiers.ts'
import { PROJECT_ROOT } from '#platform/prisma/freshness.ts'

test("supergraph.yaml, for Rover, names each tier's schema", () => {
  const { subgraphs } = parse(readFileSync(new URL('supergraph.yaml', PROJECT_ROOT), 'utf8')) as {
    subgraphs: Record<string, { schema: { file: string } }>
  }
  expect(Object.keys(subgraphs)).toEqual(TIERS)
  for (const [tier, { schema }] of Object.entries(subgraphs)) {
    expect(schema.file).toBe(`subgraphs/${tier}/schema.graphql`)
    expect(existsSync(new URL(schema.file, PROJECT_ROOT))).toBe(true)
  }
})
