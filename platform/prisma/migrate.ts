import { randomUUID } from 'node:crypto'
import pg from 'pg'
import type { Tier } from '#platform/contracts/tiers.ts'
import { StartProblem } from '#platform/local/startProblem.ts'
import { compareHistory, type MigrationStatus, refuseUnfinished } from './history.ts'
import { explainConnectionError, explainMigrationError } from './migrationErrors.ts'
import { type Migration, readMigrations } from './migrations.ts'
import { dropsData, findNonAtomicStatement } from './sqlScript.ts'

// Why not Prisma's own `migrate deploy`: docs/adr/migrations.md.

/** One tier's database, by its owner's connection string. */
export type MigrationTarget = { tier: Tier; url: string }

type Progress = (message: string) => void

/** Prisma's own lock, so that its commands and ours keep out of each other's way. */
const MIGRATION_LOCK = 72_707_369

/** Longest wait for another deploy or for a table in use, ms. */
const LOCK_TIMEOUT_MS = 60_000

/** The table exactly as Prisma makes it. */
const HISTORY_TABLE = `CREATE TABLE IF NOT EXISTS public._prisma_migrations (
  id varchar(36) PRIMARY KEY NOT NULL,
  checksum varchar(64) NOT NULL,
  finished_at timestamptz,
  migration_name varchar(255) NOT NULL,
  logs text,
  rolled_back_at timestamptz,
  started_at timestamptz NOT NULL DEFAULT now(),
  applied_steps_count integer NOT NULL DEFAULT 0
)`

/** What the database has and lacks. */
export function migrationStatus({ tier, url }: MigrationTarget): Promise<MigrationStatus> {
  return withClient(url, (client) => compareHistory(client, tier))
}

/** The migrations that `migrateUp` would apply, in order. */
export async function planMigrations(target: MigrationTarget & { to?: string | undefined }): Promise<Migration[]> {
  const status = await migrationStatus(target)
  refuseUnfinished(status)
  return upTo(status, target.to)
}

/**
 * Applies what is pending, each migration in one transaction with its row in Prisma's history: it is there whole or not
 * at all, even if the machine dies. Deploys that run at the same time wait for each other and apply each one once.
 * `to` is the last migration to apply. Returns the names applied here; with nothing pending it costs one query.
 * @throws StartProblem naming the file, the line and Postgres' words when a migration fails; earlier ones stay
 */
export async function migrateUp(
  target: MigrationTarget & { to?: string | undefined; onProgress?: Progress },
): Promise<string[]> {
  const { tier, url, to, onProgress = () => {} } = target
  return await withClient(url, async (client) => {
    const status = await compareHistory(client, tier)
    refuseUnfinished(status)
    for (const { name } of status.applied.filter(({ editedSince }) => editedSince)) {
      onProgress(`${name} was changed after it was applied here; the database keeps the older form`)
    }
    const applied: string[] = []
    for (const migration of upTo(status, to)) {
      if (!(await applyMigration(client, migration))) continue
      applied.push(migration.name)
      onProgress(`applied ${migration.name}`)
    }
    return applied
  })
}

/**
 * Undoes applied migrations by their down.sql, newest first, each in one transaction: those after `to`, all of them when
 * `to` is null, only the newest when it is left out. Returns the names undone.
 * @throws StartProblem when a down.sql is missing or fails, `to` is not applied, or `keepData` is set and data would go
 */
export async function migrateDown(
  target: MigrationTarget & { to?: string | null | undefined; keepData?: boolean; onProgress?: Progress },
): Promise<string[]> {
  const { tier, url, to, keepData = false, onProgress = () => {} } = target
  return await withClient(url, async (client) => {
    const status = await compareHistory(client, tier)
    refuseUnfinished(status)
    const names = namesToUndo(status, to)
    const onDisk = new Map(readMigrations(tier).map((migration) => [migration.name, migration]))
    const losing = keepData && names.find((name) => dropsData(onDisk.get(name)?.down ?? ''))
    if (losing)
      throw new StartProblem(`undoing ${losing} drops tables or columns with their data: add --drop-data to do it`)
    for (const name of names) {
      const migration = onDisk.get(name)
      if (!migration?.down) throw new StartProblem(`${tier}: ${name} has no down.sql, so it cannot be undone`)
      await undoMigration(client, migration, migration.down)
      onProgress(`undid ${name}`)
    }
    return names
  })
}

function upTo({ tier, pending, applied }: MigrationStatus, to: string | undefined): Migration[] {
  if (to === undefined) return pending
  const last = pending.findIndex(({ name }) => name === to)
  if (last < 0 && !applied.some(({ name }) => name === to))
    throw new StartProblem(`${tier}: no migration is named ${to}`)
  return pending.slice(0, last + 1)
}

function namesToUndo({ tier, applied }: MigrationStatus, to: string | null | undefined): string[] {
  const newestFirst = applied.map(({ name }) => name).reverse()
  if (to === undefined) return newestFirst.slice(0, 1)
  if (to === null) return newestFirst
  const kept = newestFirst.indexOf(to)
  if (kept < 0) throw new StartProblem(`${tier}: ${to} is not applied, so nothing can be undone down to it`)
  return newestFirst.slice(0, kept)
}

async function applyMigration(client: pg.Client, migration: Migration): Promise<boolean> {
  const { name, checksum, up } = migration
  return await runScript(client, migration, 'migration.sql', up, async (script) => {
    await client.query(HISTORY_TABLE)
    if (await isApplied(client, name)) return false
    const { rows } = await client.query<{ started_at: Date }>('SELECT clock_timestamp() AS started_at')
    await script()
    await client.query(
      `INSERT INTO public._prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
       VALUES ($1, $2, $3, $4, clock_timestamp(), 1)`,
      [randomUUID(), checksum, name, rows[0]?.started_at],
    )
    return true
  })
}

async function undoMigration(client: pg.Client, migration: Migration, down: string): Promise<void> {
  await runScript(client, migration, 'down.sql', down, async (script) => {
    if (!(await isApplied(client, migration.name))) return
    await script()
    await client.query('DELETE FROM public._prisma_migrations WHERE migration_name = $1', [migration.name])
  })
}

async function isApplied(client: pg.Client, name: string): Promise<boolean> {
  const { rowCount } = await client.query(
    'SELECT 1 FROM public._prisma_migrations WHERE migration_name = $1 AND finished_at IS NOT NULL AND rolled_back_at IS NULL',
    [name],
  )
  return rowCount !== 0
}

/** Runs `work` in a transaction that holds the migration lock; `work` calls the script once its turn has come. */
async function runScript<T>(
  client: pg.Client,
  migration: Migration,
  file: string,
  text: string,
  work: (script: () => Promise<unknown>) => Promise<T>,
): Promise<T> {
  const nonAtomic = findNonAtomicStatement(text)
  if (nonAtomic) throw new StartProblem(`${migration.folder}/${file} cannot run as one transaction: ${nonAtomic}`)
  try {
    await client.query(`BEGIN; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}; SET LOCAL statement_timeout = 0;
      SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`)
    const result = await work(() => client.query(text))
    await client.query('COMMIT')
    return result
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {})
    throw explainMigrationError(error, `${migration.folder}/${file}`, text)
  }
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'penguinmails-migrate' })
  // A connection that breaks also fails the query that is under way; unheard, the event would end the process.
  client.on('error', () => {})
  try {
    await client.connect().catch((error) => {
      throw explainConnectionError(error, url)
    })
    return await work(client)
  } finally {
    await client.end().catch(() => {})
  }
}
