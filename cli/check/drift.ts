import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { TIERS } from '#platform/contracts/tiers.ts'
import { findFreePort } from '#platform/local/freePort.ts'
import { startPostgres } from '#platform/local/postgres.ts'
import { provisionTier } from '#platform/local/provision.ts'
import { loadSecrets } from '#platform/local/secrets.ts'
import { findDatabaseDrift } from '#platform/prisma/drift.ts'
import { migrateUp } from '#platform/prisma/migrate.ts'

/**
 * Whether each tier's schema.prisma is what its migrations make of a live database: migrates four new databases in a
 * PostgreSQL of its own and compares. The differences in Prisma's words, null when there are none.
 */
export async function findSchemaDrift(): Promise<string | null> {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'penguinmails-check-'))
  try {
    const secrets = loadSecrets(dataDir)
    const port = await findFreePort()
    const postgres = await startPostgres({ dataDir, port, password: secrets.postgres, durable: false })
    try {
      const found = await Promise.all(
        TIERS.map(async (tier) => {
          const passwords = secrets.databases[tier]
          await provisionTier({ adminUrl: postgres.adminUrl, tier, passwords })
          const url = `postgresql://${tier}_owner:${passwords.owner}@127.0.0.1:${port}/${tier}`
          await migrateUp({ tier, url, onProgress: () => {} })
          const drift = await findDatabaseDrift({ tier, url })
          return drift === null ? [] : [`${tier}: what the migrations make is not schema.prisma\n${drift}`]
        }),
      )
      return found.flat().join('\n\n') || null
    } finally {
      await postgres.stop()
      removeData(dataDir)
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
}

/** The cluster may have been moved to where PostgreSQL's own account can enter, with a link left behind. */
function removeData(dataDir: string) {
  rmSync(realpathSync(path.join(dataDir, 'postgres')), { recursive: true, force: true })
}
