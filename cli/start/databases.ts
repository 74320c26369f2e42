import pg from 'pg'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'
import { hasOwnDatabase, type ProcessSettings } from '#platform/local/environment.ts'
import { startPostgres } from '#platform/local/postgres.ts'
import { provisionTier } from '#platform/local/provision.ts'
import { loadSecrets } from '#platform/local/secrets.ts'
import { StartProblem } from '#platform/local/startProblem.ts'
import { migrateUp } from '#platform/prisma/migrate.ts'
import { keepRunning } from './keepRunning.ts'
import type { Surroundings } from './service.ts'

type DatabaseOptions = Surroundings & {
  port: number
  /** The owners' connections. */
  migrate: ProcessSettings
  env: NodeJS.ProcessEnv
  onLost: (error: unknown) => void
}

/** The databases of a local platform on their way up. */
export type Databases = {
  /** Settles when the tier's database is there and migrated. */
  migrated: Record<Tier, Promise<void>>
  stop(): Promise<void>
}

/** Starts the embedded PostgreSQL unless every tier has a database of its own, then makes and migrates the databases. */
export async function startDatabases(options: DatabaseOptions): Promise<Databases> {
  const { dataDir, lock, terminal, port, migrate, env, onLost } = options
  const embedded = TIERS.filter((tier) => !hasOwnDatabase(tier, env))
  const secrets = loadSecrets(dataDir)
  const start = () => startPostgres({ dataDir, port, password: secrets.postgres, onProgress: terminal.progress })
  const server = embedded.length > 0 ? await keepRunning('postgres', start, { lock, terminal, onLost }) : null
  if (server) terminal.step(`PostgreSQL 18 on port ${port}`)

  const bringUp = async (tier: Tier) => {
    if (server && embedded.includes(tier)) {
      await provisionTier({ adminUrl: server.first.adminUrl, tier, passwords: secrets.databases[tier] }).catch(explain)
    }
    const url = migrate[`${tier.toUpperCase()}_OWNER_DATABASE_URL`] ?? ''
    await migrateUp({ tier, url, onProgress: terminal.progress })
  }
  const explain = (error: unknown) => {
    const wrongPassword = error instanceof pg.DatabaseError && error.code === '28P01'
    if (!wrongPassword) throw error
    throw new StartProblem(
      `the databases in ${dataDir} do not accept the password in its secrets.json, which must have been replaced: ` +
        'put the old file back, or move the folder away to start anew',
    )
  }
  const migrated = Object.fromEntries(TIERS.map((tier) => [tier, bringUp(tier)])) as Databases['migrated']
  return { migrated, stop: async () => server?.stop() }
}
