import pg from 'pg'
import type { Tier } from '#platform/contracts/tiers.ts'
import type { RolePasswords } from './secrets.ts'

export type ProvisionOptions = {
  /** A superuser's connection string to the server, or one that may create roles and databases. */
  adminUrl: string
  tier: Tier
  /** The tier's database; by default named like the tier. */
  database?: string
  passwords: RolePasswords
}

/**
 * Makes a tier's database and its three roles, or puts them right if they exist: owner (owns and migrates), app (tenants'
 * work, behind row level security) and system (relays and staff). None is a superuser or exempt from row level security,
 * and nobody else may connect. Runs the same for the local platform, containers and tests; safe to repeat.
 */
export async function provisionTier({ adminUrl, tier, database = tier, passwords }: ProvisionOptions): Promise<void> {
  const admin = new pg.Client({ connectionString: adminUrl })
  await admin.connect()
  try {
    for (const [kind, password] of Object.entries(passwords)) await provisionRole(admin, `${tier}_${kind}`, password)
    const { rowCount } = await admin.query('SELECT 1 FROM pg_database WHERE datname = $1', [database])
    if (!rowCount) {
      await admin.query(`CREATE DATABASE ${pg.escapeIdentifier(database)} OWNER ${tier}_owner TEMPLATE template0`)
    }
    await admitRolesOnly(admin, tier, database)
  } finally {
    await admin.end()
  }
}

/**
 * Lets the tier's three roles connect to the database, and nobody else; a database made from a template needs this too.
 * Temporary tables are for none: they are found before those of the schema, also by functions that run as the owner.
 */
export async function admitRolesOnly(admin: pg.Client | pg.Pool, tier: Tier, database: string): Promise<void> {
  const name = pg.escapeIdentifier(database)
  await admin.query(`REVOKE CONNECT, TEMPORARY ON DATABASE ${name} FROM PUBLIC;
    GRANT CONNECT ON DATABASE ${name} TO ${tier}_owner, ${tier}_app, ${tier}_system`)
}

async function provisionRole(admin: pg.Client, role: string, password: string): Promise<void> {
  const { rowCount } = await admin.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [role])
  // Roles and passwords cannot be parameters of a utility statement.
  await admin.query(
    `${rowCount ? 'ALTER' : 'CREATE'} ROLE ${role} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE ` +
      `PASSWORD ${pg.escapeLiteral(password)}`,
  )
}
