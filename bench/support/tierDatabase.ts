import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Tier } from '#platform/contracts/tiers.ts'
import { findFreePort } from '#platform/local/freePort.ts'
import { startPostgres } from '#platform/local/postgres.ts'
import { provisionTier } from '#platform/local/provision.ts'
import { loadSecrets, type RolePasswords } from '#platform/local/secrets.ts'
import { migrateUp } from '#platform/prisma/migrate.ts'

/** A migrated database of one tier, by its roles' connection strings. */
export type BenchDatabase = { url: string; systemUrl: string; ownerUrl: string; close(): Promise<void> }

/** The same on a server of the bench's own, by its superuser's connection string as well. */
export type OwnDatabase = BenchDatabase & { adminUrl: string; passwords: RolePasswords }

/**
 * The database to measure on: the one that `<TIER>_DATABASE_URL`, `<TIER>_SYSTEM_DATABASE_URL` and
 * `<TIER>_OWNER_DATABASE_URL` name (migrated), or else an embedded PostgreSQL in a temporary folder, gone afterwards.
 */
export async function openBenchDatabase(tier: Tier): Promise<BenchDatabase> {
  const setting = (infix: string) => process.env[`${tier.toUpperCase()}_${infix}DATABASE_URL`]
  const [url, systemUrl, ownerUrl] = [setting(''), setting('SYSTEM_'), setting('OWNER_')]
  if (url && systemUrl && ownerUrl) return { url, systemUrl, ownerUrl, close: async () => {} }
  return startOwnDatabase(tier)
}

/** An embedded PostgreSQL in a temporary folder; `durable` keeps what makes a commit survive a power cut. */
export async function startOwnDatabase(tier: Tier, { durable = false } = {}): Promise<OwnDatabase> {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'penguinmails-bench-'))
  const secrets = loadSecrets(dataDir)
  const port = await findFreePort()
  const postgres = await startPostgres({ dataDir, port, password: secrets.postgres, durable })
  const close = async () => {
    await postgres.stop()
    // Where it was moved to, when PostgreSQL's account may not enter the temporary folder.
    rmSync(realpathSync(path.join(dataDir, 'postgres')), { recursive: true, force: true })
    rmSync(dataDir, { recursive: true, force: true })
  }
  const passwords = secrets.databases[tier]
  const urlFor = (role: keyof typeof passwords) =>
    `postgresql://${tier}_${role}:${passwords[role]}@127.0.0.1:${port}/${tier}`
  try {
    await provisionTier({ adminUrl: postgres.adminUrl, tier, passwords })
    await migrateUp({ tier, url: urlFor('owner'), onProgress: () => {} })
  } catch (error) {
    await close()
    throw error
  }
  const urls = { url: urlFor('app'), systemUrl: urlFor('system'), ownerUrl: urlFor('owner') }
  return { ...urls, adminUrl: postgres.adminUrl, passwords, close }
}
