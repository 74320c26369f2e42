import type pg from 'pg'
import type { Tier } from '#platform/contracts/tiers.ts'
import { StartProblem } from '#platform/local/startProblem.ts'
import { type Migration, readMigrations } from './migrations.ts'

/** A row of Prisma's own table of what was applied. */
type AppliedRow = { migration_name: string; checksum: string; started_at: Date; finished_at: Date | null }

/** How a tier's database stands to the migrations on disk. */
export type MigrationStatus = {
  tier: Tier
  /** In order; `editedSince` when the file no longer is what was applied. */
  applied: { name: string; appliedAt: Date; editedSince: boolean }[]
  pending: Migration[]
  /** Applied, but not on disk: the database is ahead of this code. */
  unknown: string[]
  /** Begun by Prisma's own command and neither finished nor rolled back. */
  unfinished: string[]
}

const UNDEFINED_TABLE = '42P01'

/** Compares the database's history with the migrations on disk: one small query. */
export async function compareHistory(client: pg.Client, tier: Tier): Promise<MigrationStatus> {
  const rows = await findApplied(client)
  const migrations = readMigrations(tier)
  const byName = new Map(migrations.map((migration) => [migration.name, migration]))
  const finished = rows.filter((row) => row.finished_at)
  const finishedNames = new Set(finished.map((row) => row.migration_name))
  return {
    tier,
    applied: finished.map(({ migration_name, checksum, finished_at }) => ({
      name: migration_name,
      appliedAt: finished_at as Date,
      editedSince: (byName.get(migration_name)?.checksum ?? checksum) !== checksum,
    })),
    pending: migrations.filter(({ name }) => !finishedNames.has(name)),
    unknown: [...finishedNames].filter((name) => !byName.has(name)),
    unfinished: rows.filter((row) => !row.finished_at).map((row) => row.migration_name),
  }
}

/** @throws StartProblem when Prisma's own deploy was interrupted: whether its script took effect is for a person to see */
export function refuseUnfinished({ tier, unfinished }: MigrationStatus): void {
  if (unfinished.length === 0) return
  const [name] = unfinished
  throw new StartProblem(
    `${tier}: ${name} was begun by prisma migrate and never finished. See whether its tables are there, then say so with ` +
      `\`npm exec tsx cli/prisma.ts -- --tier ${tier} migrate resolve --applied ${name}\` (or --rolled-back ${name}).`,
  )
}

async function findApplied(client: pg.Client): Promise<AppliedRow[]> {
  try {
    const { rows } = await client.query<AppliedRow>(
      `SELECT migration_name, checksum, started_at, finished_at FROM public._prisma_migrations
       WHERE rolled_back_at IS NULL ORDER BY migration_name, started_at`,
    )
    return rows
  } catch (error) {
    if ((error as { code?: string }).code === UNDEFINED_TABLE) return []
    throw error
  }
}
