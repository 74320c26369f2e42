import { afterAll, beforeAll, expect, test } from '@jest/globals'
import pg from 'pg'
import { provisionTier } from '#platform/local/provision.ts'
import { createTierDatabase, type TierDatabase, testServices } from '../support/postgres.ts'

const DATABASE = 'test_provisioned'
const { adminUrl, host, passwords } = testServices()
let otherTier: TierDatabase

beforeAll(async () => {
  otherTier = await createTierDatabase('content')
  await provisionTier({ adminUrl, tier: 'oltp', database: DATABASE, passwords: passwords.oltp })
})
afterAll(async () => {
  await otherTier.drop()
  await ask(adminUrl, `DROP DATABASE ${DATABASE} WITH (FORCE)`)
})

async function ask(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

function urlOf(role: 'owner' | 'app' | 'system'): string {
  return `postgresql://oltp_${role}:${passwords.oltp[role]}@${host}/${DATABASE}`
}

test('no role of a tier is a superuser, exempt from row level security, or may make roles and databases', async () => {
  const roles = await ask(
    adminUrl,
    `SELECT rolname FROM pg_roles WHERE rolname LIKE 'oltp\\_%' AND rolcanlogin
       AND NOT (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb) ORDER BY rolname`,
  )
  expect(roles.map(({ rolname }) => rolname)).toEqual(['oltp_app', 'oltp_owner', 'oltp_system'])
})

test('only the owner may make tables', async () => {
  await ask(urlOf('owner'), 'CREATE TABLE made (id int)')
  for (const role of ['app', 'system'] as const) {
    await expect(ask(urlOf(role), 'CREATE TABLE other (id int)')).rejects.toMatchObject({ code: '42501' })
  }
})

test('only the owner may make temporary tables: they would stand before the real ones', async () => {
  for (const role of ['app', 'system'] as const) {
    await expect(ask(urlOf(role), 'CREATE TEMP TABLE made (id int)')).rejects.toMatchObject({ code: '42501' })
  }
})

test('no role of a tier can connect to another tier’s database', async () => {
  const elsewhere = new URL(otherTier.url).pathname
  for (const role of ['owner', 'app', 'system'] as const) {
    const url = new URL(urlOf(role))
    url.pathname = elsewhere
    await expect(ask(url.href, 'SELECT 1')).rejects.toMatchObject({ code: '42501' })
  }
})

test('provisioning again changes nothing but a password that was changed', async () => {
  await provisionTier({ adminUrl, tier: 'oltp', database: DATABASE, passwords: passwords.oltp })
  expect(await ask(urlOf('app'), 'SELECT current_user AS role')).toEqual([{ role: 'oltp_app' }])
})
