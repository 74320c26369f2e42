import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'
import { PROJECT_ROOT } from '#platform/prisma/freshness.ts'
import { catalogueViolations } from './catalogue.ts'
import { openTierCatalogue, type TierCatalogue } from './tierCatalogue.ts'

test('the walls are the same text in every tier but for its name', () => {
  const walls = (tier: Tier, file: string) =>
    readFileSync(new URL(`prisma/${tier}/migrations/20261122000000_walls/${file}`, PROJECT_ROOT), 'utf8')
  for (const tier of TIERS) {
    expect(walls(tier, 'migration.sql').replace(`SELECT '${tier}'`, "SELECT 'oltp'")).toBe(
      walls('oltp', 'migration.sql'),
    )
    expect(walls(tier, 'down.sql')).toBe(walls('oltp', 'down.sql'))
  }
})

describe('partitions by month', () => {
  let database: TierCatalogue
  let system: pg.Client
  beforeAll(async () => {
    database = await openTierCatalogue('queue')
    system = new pg.Client({ connectionString: database.systemUrl })
    await system.connect()
  })
  afterAll(async () => {
    await system?.end()
    await database?.drop()
  })

  test('a new month takes its rows along from the default partition, and stands behind the same walls', async () => {
    const tenant = randomUUID()
    for (const months of [2, 8, 20]) {
      await system.query(
        `INSERT INTO job_logs (tenant_id, job_id, created_at, attempt_number, log_level, message)
         VALUES ($1, $2, date_trunc('month', now(), 'UTC') + make_interval(months => $3, days => 3), 1, 'info', $3)`,
        [tenant, randomUUID(), months],
      )
    }
    expect(await rowsIn('job_logs_default')).toEqual(['20', '8'])
    await system.query(`SELECT ensure_month_partitions('job_logs', 0, 12)`)
    expect(await rowsIn('job_logs_default')).toEqual(['20'])
    expect(await rowsIn('job_logs')).toEqual(['2', '20', '8'])
    expect(await catalogueViolations(database.admin)).toEqual([])
    await expect(readPartitions(database.url, tenant)).rejects.toThrow('permission denied')
  })

  test('asked for at the same time, each partition is made once', async () => {
    const clients = await Promise.all(
      [1, 2, 3].map(async () => {
        const client = new pg.Client({ connectionString: database.systemUrl })
        await client.connect()
        return client
      }),
    )
    const made = await Promise.all(
      clients.map(async (client) => {
        const { rows } = await client.query(`SELECT ensure_month_partitions('job_logs', 4, 14) AS made`)
        return rows[0].made as number
      }),
    )
    await Promise.all(clients.map((client) => client.end()))
    expect(made.filter((count) => count > 0)).toHaveLength(1)
  })

  async function rowsIn(table: string): Promise<string[]> {
    const { rows } = await database.admin.query<{ message: string }>(`SELECT message FROM ${table} ORDER BY message`)
    return rows.map(({ message }) => message)
  }
})

async function readPartitions(url: string, tenant: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(`SELECT set_config('app.current_tenant_id', $1, false)`, [tenant])
    await client.query('SELECT FROM job_logs_default')
  } finally {
    await client.end()
  }
}
