import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { TIERS } from '#platform/contracts/tiers.ts'
import { catalogueViolations } from './catalogue.ts'
import { openTierCatalogue, type TierCatalogue } from './tierCatalogue.ts'

describe.each(TIERS)('the live database of %s', (tier) => {
  let database: TierCatalogue
  beforeAll(async () => {
    database = await openTierCatalogue(tier)
  })
  afterAll(() => database?.drop())

  test('keeps every rule of the catalogue', async () => {
    expect(await catalogueViolations(database.admin)).toEqual([])
  })

  test('has tenant tables, and partitions among its tables where it should', async () => {
    const { rows } = await database.admin.query(
      `SELECT count(*) FILTER (WHERE NOT relispartition AND obj_description(oid) LIKE 'Scope: tenant.%')::int AS tenant_tables,
              count(*) FILTER (WHERE relispartition)::int AS partitions
       FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')`,
    )
    expect(rows[0].tenant_tables).toBeGreaterThan(5)
    expect(rows[0].partitions).toBeGreaterThan(0)
  })

  test("an owner's backfill touches the rows of every tenant, the app role's only its own, and none without a tenant", async () => {
    const [mine, theirs] = [randomUUID(), randomUUID()]
    for (const tenant of [mine, theirs]) await insertKey(database.url, tenant)
    expect(await backfill(database.ownerUrl)).toBe(2)
    expect(await backfill(database.url, mine)).toBe(1)
    await expect(backfill(database.url)).rejects.toThrow('app.current_tenant_id')
  })
})

async function insertKey(url: string, tenant: string): Promise<void> {
  await withTenant(url, tenant, (client) =>
    client.query(
      `INSERT INTO idempotency_keys (tenant_id, key, request_hash, expires_at) VALUES ($1, 'k', 'h', now())`,
      [tenant],
    ),
  )
}

/** Rows that an UPDATE of everything touches. */
async function backfill(url: string, tenant?: string): Promise<number | null> {
  return await withTenant(url, tenant, async (client) => {
    const { rowCount } = await client.query(`UPDATE idempotency_keys SET request_hash = request_hash || '!'`)
    return rowCount
  })
}

async function withTenant<T>(url: string, tenant: string | undefined, work: (client: pg.Client) => Promise<T>) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    if (tenant) await client.query(`SELECT set_config('app.current_tenant_id', $1, false)`, [tenant])
    return await work(client)
  } finally {
    await client.end()
  }
}
