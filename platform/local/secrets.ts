import { randomBytes } from 'node:crypto'
import path from 'node:path'
import { callerKeyName, EDGES } from '#platform/caller/edges.ts'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'
import { createJsonFile, readJsonFile, replaceJsonFile } from './privateFile.ts'

/** Passwords of a tier's three database roles. */
export type RolePasswords = { owner: string; app: string; system: string }

/** What a local platform keeps to itself; never leaves DATA_DIR but in the environment of the process that needs it. */
export type Secrets = {
  /** Password of the embedded PostgreSQL's superuser. */
  postgres: string
  databases: Record<Tier, RolePasswords>
  /** By setting name (`CALLER_KEY_GATEWAY_OLTP`): 32 bytes in base64. */
  callerKeys: Record<string, string>
  /** 32 bytes in base64. */
  contentMasterKey: string
  /** 32 bytes in base64; links in mails are signed with it. */
  trackingKey: string
}

/**
 * The secrets of this data folder, from `secrets.json` (0600); made on first use. Secrets that a newer version needs are
 * added, those that exist never change: the database's own passwords and stored content depend on them.
 */
export function loadSecrets(dataDir: string): Secrets {
  const file = path.join(dataDir, 'secrets.json')
  const stored = readJsonFile(file) as Partial<Secrets> | null
  const secrets = completeSecrets(stored ?? {})
  if (!stored) return createJsonFile(file, secrets) ? secrets : loadSecrets(dataDir)
  if (JSON.stringify(stored) !== JSON.stringify(secrets)) replaceJsonFile(file, secrets)
  return secrets
}

function completeSecrets(stored: Partial<Secrets>): Secrets {
  const perTier = TIERS.map((tier) => [tier, { ...makePasswords(), ...stored.databases?.[tier] }])
  const perEdge = EDGES.map(([from, to]) => callerKeyName(from, to)).map((name) => [
    name,
    stored.callerKeys?.[name] ?? makeKey(),
  ])
  return {
    postgres: stored.postgres ?? makePassword(),
    databases: Object.fromEntries(perTier),
    callerKeys: Object.fromEntries(perEdge),
    contentMasterKey: stored.contentMasterKey ?? makeKey(),
    trackingKey: stored.trackingKey ?? makeKey(),
  }
}

function makePasswords(): RolePasswords {
  return { owner: makePassword(), app: makePassword(), system: makePassword() }
}

/** Letters, digits, - and _: stands in a connection string as it is. */
function makePassword(): string {
  return randomBytes(24).toString('base64url')
}

function makeKey(): string {
  return randomBytes(32).toString('base64')
}
