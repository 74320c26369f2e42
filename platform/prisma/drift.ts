import { readFileSync } from 'node:fs'
import type { Tier } from '#platform/contracts/tiers.ts'
import { openSchemaEngine } from './engine/wasmEngine.mjs'
import { PROJECT_ROOT } from './freshness.ts'
import { readMigrations } from './migrations.ts'

const NO_FILTER = { externalTables: [], externalEnums: [] }

/** What Prisma says when there is nothing to say. */
const NO_DIFFERENCE = /^No difference detected\.$/

/**
 * How the database at `url` differs from the tier's schema.prisma, in Prisma's words; null when it does not. Sees what
 * Prisma models: tables, columns, keys and indexes. Policies, grants and partitions are for the catalogue test.
 */
export async function findDatabaseDrift({ tier, url }: { tier: Tier; url: string }): Promise<string | null> {
  return await diff(tier, url, undefined, { tag: 'schemaDatasource', files: [schemaFile(tier)], configDir: '' })
}

/**
 * How what the tier's migrations make differs from its schema.prisma. `shadowUrl` is a database of the tier's owner
 * that may be emptied: the migrations are replayed there.
 */
export async function findMigrationDrift({
  tier,
  shadowUrl,
}: {
  tier: Tier
  shadowUrl: string
}): Promise<string | null> {
  return await diff(tier, shadowUrl, shadowUrl, {
    tag: 'migrations',
    baseDir: `prisma/${tier}/migrations`,
    shadowDbInitScript: '',
    lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"' },
    migrationDirectories: readMigrations(tier).map(({ name, up }) => ({
      path: name,
      migrationFile: { path: 'migration.sql', content: { tag: 'ok', value: up } },
    })),
  })
}

type DiffTarget = Parameters<Awaited<ReturnType<typeof openSchemaEngine>>['engine']['diff']>[0]['from']

async function diff(tier: Tier, url: string, shadowUrl: string | undefined, from: DiffTarget): Promise<string | null> {
  const schema = schemaFile(tier)
  const { engine, close } = await openSchemaEngine({ url, shadowUrl, schemas: [schema] })
  try {
    const to = { tag: 'schemaDatamodel' as const, files: [schema] }
    const { stdout } = await engine.diff({ from, to, script: false, exitCode: null, filters: NO_FILTER })
    const difference = (stdout ?? '').trim()
    return difference === '' || NO_DIFFERENCE.test(difference) ? null : difference
  } finally {
    await close()
  }
}

function schemaFile(tier: Tier): { path: string; content: string } {
  const path = `prisma/${tier}/schema.prisma`
  return { path, content: readFileSync(new URL(path, PROJECT_ROOT), 'utf8') }
}
