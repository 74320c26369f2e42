import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { TIERS } from '#platform/contracts/tiers.ts'
import { PROJECT_ROOT } from '#platform/prisma/freshness.ts'
import { readMigrations } from '#platform/prisma/migrations.ts'
import { renderComments } from '#platform/prisma/schemaComments.ts'
import { readSchema } from '#platform/prisma/schemaFile.ts'
import { openTierCatalogue, type TierCatalogue } from './tierCatalogue.ts'

describe.each(TIERS)('the comments of %s', (tier) => {
  let database: TierCatalogue
  beforeAll(async () => {
    database = await openTierCatalogue(tier)
  })
  afterAll(() => database?.drop())

  test('are the same in the database as in schema.prisma', async () => {
    const { rows } = await database.admin.query<{ place: string; comment: string }>(
      `SELECT c.relname || coalesce('.' || a.attname, '') AS place,
              coalesce(CASE WHEN a.attname IS NULL THEN obj_description(c.oid) ELSE col_description(c.oid, a.attnum) END, '') AS comment
       FROM pg_class c CROSS JOIN LATERAL (
         SELECT NULL::name AS attname, 0 AS attnum
         UNION ALL SELECT attname, attnum FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
       ) AS a
       WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
         AND c.relname <> '_prisma_migrations'`,
    )
    const inDatabase = Object.fromEntries(rows.map(({ place, comment }) => [place, comment]))
    const inSchema = Object.fromEntries(
      readSchema(tier).flatMap((table) => [
        [table.name, table.comment],
        ...table.columns.map((column) => [`${table.name}.${column.name}`, column.comment]),
      ]),
    )
    expect(inDatabase).toEqual(inSchema)
  })

  test('are in the migration as cli/schemaComments.ts --write writes them', () => {
    const last = readMigrations(tier).findLast(({ name }) => name.endsWith('_comments'))
    const file = new URL(`prisma/${tier}/migrations/${last?.name}/migration.sql`, PROJECT_ROOT)
    expect(readFileSync(file, 'utf8')).toContain(renderComments(readSchema(tier)))
  })
})
