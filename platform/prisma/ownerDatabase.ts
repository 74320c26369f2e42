import { existsSync } from 'node:fs'
import path from 'node:path'
import type { Tier } from '#platform/contracts/tiers.ts'
import { localEnvironment } from '#platform/local/environment.ts'
import { loadSecrets } from '#platform/local/secrets.ts'
import { readLocalSettings } from '#platform/local/settings.ts'
import { StartProblem } from '#platform/local/startProblem.ts'

/**
 * The connection string of the role that migrates a tier: `<TIER>_OWNER_DATABASE_URL`, else the local platform's.
 * @throws StartProblem where there is neither
 */
export function ownerDatabaseUrl(tier: Tier, env: NodeJS.ProcessEnv = process.env): string {
  const setting = `${tier.toUpperCase()}_OWNER_DATABASE_URL`
  const url = env[setting] || localOwnerUrl(setting, env)
  if (!url) {
    throw new StartProblem(`no database for ${tier}: run \`npm start\` once to make the local ones, or set ${setting}`)
  }
  return url
}

/** The local platform's superuser, for what an owner may not do (making a shadow database); null where there is none. */
export function findLocalAdminUrl(env: NodeJS.ProcessEnv = process.env): string | null {
  const { dataDir, ports } = readLocalSettings(env)
  if (!hasSecrets(dataDir)) return null
  const password = encodeURIComponent(loadSecrets(dataDir).postgres)
  return `postgresql://postgres:${password}@127.0.0.1:${ports.postgres}/postgres`
}

function localOwnerUrl(setting: string, env: NodeJS.ProcessEnv): string | undefined {
  const { dataDir, ports } = readLocalSettings(env)
  return hasSecrets(dataDir) ? localEnvironment(dataDir, ports).migrate[setting] : undefined
}

// Reading secrets makes them; a command that only asks for a database must not leave a data folder behind.
function hasSecrets(dataDir: string): boolean {
  return existsSync(path.join(dataDir, 'secrets.json'))
}
