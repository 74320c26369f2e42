import path from 'node:path'
import { callerKeyName, EDGES, tierUrlName } from '#platform/caller/edges.ts'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'
import { jwksFile } from './devKey.ts'
import { loadSecrets, type RolePasswords } from './secrets.ts'
import { type LocalPorts, PORT_SETTINGS, reachableHost } from './settings.ts'
import { StartProblem } from './startProblem.ts'

/** Settings of one process, by variable name. */
export type ProcessSettings = Record<string, string>

/** The processes a local platform runs, `cli` for the development tools and `migrate` for the owners' connections. */
export type ProcessName = Tier | 'gateway' | 'worker' | 'smtpDoor' | 'sandbox' | 'cli' | 'migrate'

/** Who puts signed links into mails, and who answers them. */
const TRACKING_SETTINGS = ['TRACKING_KEY', 'TRACKING_PREVIOUS_KEYS']

/** Where tenants' mailboxes and domains keep their secrets, and how they are looked up. */
const MAILBOX_SETTINGS = ['VAULT', 'DNS_SERVERS', 'MAIL_DOMAIN', 'ALLOW_INSIDE_MAIL_SERVERS']

type Env = Readonly<Record<string, string | undefined>>

/** Settings that hold a secret: a process gets those it is named for in `localEnvironment` and no others. */
const SECRET = /^(CALLER_KEY_.*|.*_DATABASE_URL|CONTENT_MASTER_KEY|TRACKING_(PREVIOUS_)?KEYS?|APOLLO_KEY)$/

/**
 * The settings of each process of the platform in `dataDir`, keys and passwords from its secrets (made on first use).
 * A process gets the keys it needs and no others. `overrides` (usually `process.env`) win over what is generated.
 * @throws StartProblem when only some of a tier's three database settings are given
 */
export function localEnvironment(
  dataDir: string,
  ports: LocalPorts,
  overrides: Env = {},
): Record<ProcessName, ProcessSettings> {
  const secrets = loadSecrets(dataDir)
  const host = reachableHost(overrides)
  const databases = Object.assign(
    {},
    ...TIERS.map((tier) => databaseUrls(tier, secrets.databases[tier], ports, overrides)),
  )
  const generated: ProcessSettings = {
    ...secrets.callerKeys,
    ...databases,
    ...Object.fromEntries(TIERS.map((tier) => [tierUrlName(tier), `http://${host}:${ports[tier]}/graphql`])),
    ...Object.fromEntries(
      Object.entries(PORT_SETTINGS).map(([name, key]) => [key, String(ports[name as keyof LocalPorts])]),
    ),
    CONTENT_MASTER_KEY: secrets.contentMasterKey,
    TRACKING_KEY: secrets.trackingKey,
    PUBLIC_URL: `http://${host}:${ports.gateway}`,
    JWKS_FILE: jwksFile(dataDir),
    DATA_DIR: dataDir,
    VAULT: `file:${path.join(dataDir, 'vault')}`,
    ALLOW_INSIDE_MAIL_SERVERS: 'true',
    // Whoever tries things out here is one tenant at one address, with tools that feed in mail by the thousand.
    RATE_LIMIT_PER_TENANT: '60000',
    RATE_LIMIT_PER_ADDRESS: '120000',
  }
  const pick = (names: string[]) => pickSettings(names, generated, overrides)
  const tierSettings = (tier: Tier) => pick([...listening(tier), ...connections(tier), ...callerSettings(tier)])
  return {
    oltp: { ...tierSettings('oltp'), ...pick(['PUBLIC_URL', 'REDIS_URL', ...TRACKING_SETTINGS, ...MAILBOX_SETTINGS]) },
    content: { ...tierSettings('content'), ...pick(['CONTENT_MASTER_KEY', 'REDIS_URL']) },
    analytics: tierSettings('analytics'),
    queue: { ...tierSettings('queue'), ...pick(['REDIS_URL']) },
    worker: pick([
      ...[...listening('worker'), ...connections('queue'), ...callerSettings('worker'), 'REDIS_URL'],
      ...['VAULT', 'DNS_SERVERS', 'ALLOW_INSIDE_MAIL_SERVERS'],
    ]),
    gateway: pick([
      ...listening('gateway'),
      ...callerSettings('gateway'),
      ...TRACKING_SETTINGS,
      ...(overrides.JWKS_URL ? ['JWKS_URL'] : ['JWKS_FILE']),
      ...['REDIS_URL', 'RATE_LIMIT_PER_TENANT', 'RATE_LIMIT_PER_ADDRESS', 'APOLLO_KEY'],
    ]),
    // The oltp tier's second door: it speaks for that tier, but only to the one that stores mail.
    smtpDoor: pick([
      ...listening('smtpDoor'),
      PORT_SETTINGS.smtp,
      ...connections('oltp'),
      callerKeyName('oltp', 'content'),
      tierUrlName('content'),
      'REDIS_URL',
    ]),
    sandbox: pick([...listening('sandbox'), PORT_SETTINGS.sandboxSmtp, PORT_SETTINGS.smtp, PORT_SETTINGS.gateway]),
    cli: pick(['DATA_DIR', 'GATEWAY_PORT', PORT_SETTINGS.sandboxSmtp, ...callerSettings('cli')]),
    migrate: pick(TIERS.map((tier) => `${tier.toUpperCase()}_OWNER_DATABASE_URL`)),
  }
}

/** The surroundings a process inherits (PATH, LOG_LEVEL, proxies …) without the secrets that belong to others. */
export function inheritedEnvironment(env: Env): ProcessSettings {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      value === undefined || SECRET.test(name) || name.startsWith('npm_') ? [] : [[name, value]],
    ),
  )
}

/** Whether this tier's database is the user's own rather than one in the embedded PostgreSQL. */
export function hasOwnDatabase(tier: Tier, env: Env): boolean {
  return Boolean(env[`${tier.toUpperCase()}_DATABASE_URL`])
}

function listening(process: Tier | 'worker' | 'gateway' | 'smtpDoor' | 'sandbox'): string[] {
  return [PORT_SETTINGS[process]]
}

function connections(tier: Tier): string[] {
  return [`${tier.toUpperCase()}_DATABASE_URL`, `${tier.toUpperCase()}_SYSTEM_DATABASE_URL`]
}

/** Keys of the edges that end or begin at this process, and the addresses of those it asks. */
function callerSettings(process: string): string[] {
  return EDGES.flatMap(([from, to]) => [
    ...(from === process || to === process ? [callerKeyName(from, to)] : []),
    ...(from === process ? [tierUrlName(to)] : []),
  ])
}

function pickSettings(names: string[], generated: ProcessSettings, overrides: Env): ProcessSettings {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = overrides[name] || generated[name]
      return value ? [[name, value]] : []
    }),
  )
}

function databaseUrls(tier: Tier, passwords: RolePasswords, ports: LocalPorts, overrides: Env): ProcessSettings {
  const prefix = tier.toUpperCase()
  const names = [`${prefix}_DATABASE_URL`, `${prefix}_SYSTEM_DATABASE_URL`, `${prefix}_OWNER_DATABASE_URL`] as const
  const missing = names.filter((name) => !overrides[name])
  if (missing.length === 0) return {}
  if (missing.length < names.length) {
    const given = names.filter((name) => overrides[name])
    throw new StartProblem(
      `${given.join(' and ')} set without ${missing.join(' and ')}: a database of your own needs all three ` +
        `(roles ${tier}_app, ${tier}_system and ${tier}_owner)`,
    )
  }
  const [app, system, owner] = names
  return {
    [app]: databaseUrl(tier, `${tier}_app`, passwords.app, ports.postgres),
    [system]: databaseUrl(tier, `${tier}_system`, passwords.system, ports.postgres),
    [owner]: databaseUrl(tier, `${tier}_owner`, passwords.owner, ports.postgres),
  }
}

function databaseUrl(database: string, role: string, password: string, port: number): string {
  return `postgresql://${role}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`
}
