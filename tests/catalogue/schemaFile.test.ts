import { expect, test } from '@jest/globals'
import { renderCommentRemoval, renderComments } from '#platform/prisma/schemaComments.ts'
import { parseSchema } from '#platform/prisma/schemaFile.ts'
import { countStatementKinds, findNonAtomicStatement, lineOf } from '#platform/prisma/sqlScript.ts'

const SCHEMA = `
generator client {
  provider = "prisma-client"
}

// not a comment of the table
/// Scope: tenant. What a customer's
/// crew works on.
model BoatTrip {
  /// [internal] whose
  tenantId   String   @map("tenant_id") @db.Uuid
  /// [public] UUIDv7
  id         String   @db.Uuid
  /// [personal] → oltp.users
  crewIds    String[] @map("crew_ids") @db.Uuid
  amount     Decimal? @default(dbgenerated("round((0)::numeric, 2)")) @db.Decimal(10, 2)
  /// [content] words
  vector     Unsupported("tsvector")?
  /// [internal] sailed
  sailedAt   DateTime @default(now()) @map("sailed_at") @db.Timestamptz(3)
  boatId     String?  @map("boat_id") @db.Uuid

  boat Boat? @relation(fields: [tenantId, boatId], references: [tenantId, id], onDelete: Restrict)

  @@id([tenantId, id])
  /// serves trips: the newest first
  @@index([tenantId, sailedAt(sort: Desc), id(sort: Desc)], where: raw("(boat_id IS NOT NULL)"), map: "trips_idx")
  @@unique([tenantId, vector(ops: raw("gin_trgm_ops"))], type: Gin)
  @@map("boat_trips")
}

model Boat {
  tenantId String @map("tenant_id")
  id       String @id
  name     String @unique
  trips    BoatTrip[]
}
`

test('a schema is read with its types, keys, indexes, references and comments', () => {
  const [trips, boats] = parseSchema(SCHEMA)
  expect(trips?.name).toBe('boat_trips')
  expect(trips?.comment).toBe("Scope: tenant. What a customer's crew works on.")
  expect(trips?.columns.map(({ name, type, nullable, defaultValue }) => [name, type, nullable, defaultValue])).toEqual([
    ['tenant_id', 'uuid', false, null],
    ['id', 'uuid', false, null],
    ['crew_ids', 'uuid[]', false, null],
    ['amount', 'numeric(10,2)', true, 'round((0)::numeric, 2)'],
    ['vector', 'tsvector', true, null],
    ['sailed_at', 'timestamptz(3)', false, 'now()'],
    ['boat_id', 'uuid', true, null],
  ])
  expect(trips?.columns.map(({ comment }) => comment)).toEqual([
    '[internal] whose',
    '[public] UUIDv7',
    '[personal] → oltp.users',
    '',
    '[content] words',
    '[internal] sailed',
    '',
  ])
  expect(trips?.indexes).toEqual([
    { kind: 'primary', columns: columns('tenant_id', 'id'), where: null, comment: '' },
    {
      kind: 'index',
      columns: [...columns('tenant_id'), ...['sailed_at', 'id'].map((name) => ({ name, descending: true }))],
      where: '(boat_id IS NOT NULL)',
      comment: 'serves trips: the newest first',
    },
    { kind: 'unique', columns: columns('tenant_id', 'vector'), where: null, comment: '' },
  ])
  expect(trips?.relations).toEqual([
    { columns: ['tenant_id', 'boat_id'], table: 'Boat', references: ['tenant_id', 'id'] },
  ])
  expect(boats?.columns.map(({ name }) => name)).toEqual(['tenant_id', 'id', 'name'])
  expect(boats?.indexes.map(({ kind }) => kind)).toEqual(['primary', 'unique'])
})

test('comments become statements, quoted, and can be taken away', () => {
  const trips = parseSchema(SCHEMA).slice(0, 1)
  expect(renderComments(trips)).toContain(
    "COMMENT ON TABLE boat_trips IS 'Scope: tenant. What a customer''s crew works on.';",
  )
  expect(renderComments(trips)).toContain('COMMENT ON COLUMN boat_trips.boat_id IS NULL;')
  expect(renderCommentRemoval(trips)).toContain('COMMENT ON COLUMN boat_trips.crew_ids IS NULL;')
})

test('a script that ends its transaction is found, and words in bodies, literals and comments are not mistaken for it', () => {
  const harmless = `-- COMMIT;
    CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END; $$;
    DO $do$ BEGIN PERFORM 'x; COMMIT;'; END $do$;
    /* VACUUM; */ INSERT INTO t VALUES ('it''s; COMMIT; ok')`
  expect(findNonAtomicStatement(harmless)).toBeNull()
  expect(findNonAtomicStatement(`${harmless}; COMMIT`)).toBe('COMMIT')
  expect(findNonAtomicStatement('create unique  index concurrently i on t (a)')).toBe(
    'create unique index concurrently i on t (a)',
  )
  expect([...countStatementKinds(harmless)]).toEqual([
    ['CREATE FUNCTION', 1],
    ['DO', 1],
    ['INSERT', 1],
  ])
  expect(lineOf('a\nü\nc', 5)).toBe(3)
})

function columns(...names: string[]) {
  return names.map((name) => ({ name, descending: false }))
}
