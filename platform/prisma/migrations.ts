import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Tier } from '#platform/contracts/tiers.ts'
import { StartProblem } from '#platform/local/startProblem.ts'
import { PROJECT_ROOT } from './freshness.ts'

/** A schema change of one tier, as it lies in prisma/<tier>/migrations/<name>. */
export type Migration = {
  /** `<timestamp>_<what>`; migrations are applied in the order of their names. */
  name: string
  up: string
  /** null where there is no down.sql. */
  down: string | null
  /** SHA-256 of `up` in hex, as Prisma keeps it beside an applied migration. */
  checksum: string
  /** Folder, from the project's root. */
  folder: string
}

/** The tier's migrations on disk, oldest first. */
export function readMigrations(tier: Tier): Migration[] {
  const root = `prisma/${tier}/migrations`
  return readdirSync(new URL(`${root}/`, PROJECT_ROOT), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => readMigration(`${root}/${entry.name}`, entry.name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

function readMigration(folder: string, name: string): Migration {
  const up = readScript(`${folder}/migration.sql`)
  if (up === null) throw new StartProblem(`${folder} has no migration.sql`)
  return {
    name,
    up,
    down: readScript(`${folder}/down.sql`),
    checksum: createHash('sha256').update(up).digest('hex'),
    folder,
  }
}

function readScript(path: string): string | null {
  const file = fileURLToPath(new URL(path, PROJECT_ROOT))
  return existsSync(file) ? readFileSync(file, 'utf8') : null
}
