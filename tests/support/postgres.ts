import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Tier } from '#platform/contracts/tiers.ts'
import { admitRolesOnly } from '#platform/local/provision.ts'
import type { RolePasswords } from '#platform/local/secrets.ts'

/** What globalSetup tells the test files, in TEST_SERVICES. */
export type TestServices = {
  /** Superuser's connection string to the run's PostgreSQL. */
  adminUrl: string
  /** Its host and port. */
  host: string
  passwords: Record<Tier, RolePasswords>
  redisUrl: string
  /** Why a tier has no template: its migrations failed. Only this tier's tests suffer from it. */
  broken: Partial<Record<Tier, string>>
}

/** One test file's own database of a tier, with every migration applied. URLs by role, as the tier's settings name them. */
export type TierDatabase = {
  /** Role `<tier>_app`. */
  url: string
  /** Role `<tier>_system`. */
  systemUrl: string
  /** Role `<tier>_owner`. */
  ownerUrl: string
  drop(): Promise<void>
}

export function testServices(): TestServices {
  const services = process.env.TEST_SERVICES
  if (!services) throw new Error('no test services: run the tests through Jest, whose globalSetup starts them')
  return JSON.parse(services)
}

/**
 * Copies the tier's migrated template into a new database: for `beforeAll`, with `drop` in `afterAll`.
 * Dropping closes whatever is still connected.
 */
export async function createTierDatabase(tier: Tier): Promise<TierDatabase> {
  const { host, passwords, broken } = testServices()
  if (broken[tier]) throw new Error(`the migrations of ${tier} failed: ${broken[tier]}`)
  const database = `test_${tier}_${randomBytes(6).toString('hex')}`
  await asAdmin(async (admin) => {
    await admin.query(`CREATE DATABASE ${database} TEMPLATE template_${tier} OWNER ${tier}_owner`)
    await admitRolesOnly(admin, tier, database)
  })
  const urlFor = (role: keyof RolePasswords) =>
    `postgresql://${tier}_${role}:${passwords[tier][role]}@${host}/${database}`
  return {
    url: urlFor('app'),
    systemUrl: urlFor('system'),
    ownerUrl: urlFor('owner'),
    drop: () =>
      asAdmin(async (admin) => {
        await untilLeft(admin, database)
        await admin.query(`DROP DATABASE ${database} WITH (FORCE)`)
      }),
  }
}

/**
 * Waits, not for long, until nobody is connected: a pool says that it has ended before its connections have, and one that
 * is forced to end then fails in a pool that nobody listens to any more.
 */
async function untilLeft(admin: pg.Client, database: string): Promise<void> {
  for (let looks = 0; looks < 50; looks += 1) {
    const { rowCount } = await admin.query('SELECT FROM pg_stat_activity WHERE datname = $1', [database])
    if (rowCount === 0) return
    await sleep(20)
  }
}

async function asAdmin<T>(work: (admin: pg.Client) => Promise<T>): Promise<T> {
  const admin = new pg.Client({ connectionString: testServices().adminUrl })
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.end()
  }
}
