import pg from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { openTierDatabase, type TierDatabaseOptions } from '#platform/database/tierDatabase.ts'
import { PrismaClient } from '#prisma/oltp'
import { createTierDatabase, testServices } from '../support/postgres.ts'

export type TestDatabase = Awaited<ReturnType<typeof openTestDatabase>>

/** A database of the oltp tier with as many tenants as asked for, and its clients. */
export async function openTestDatabase(tenants: number, options: Partial<TierDatabaseOptions> = {}) {
  const database = await createTierDatabase('oltp')
  const db = openTierDatabase({ url: database.url, systemUrl: database.systemUrl, ...options }, PrismaClient)
  const tenantIds = Array.from({ length: tenants }, () => uuidv7())
  await db.system.tenant.createMany({
    data: tenantIds.map((id, n) => ({ id, name: `tenant ${n}`, slug: `tenant-${n}` })),
  })
  return {
    ...db,
    urls: database,
    tenantIds: tenantIds as [string, string, ...string[]],
    /** One statement as the superuser, e.g. to end a connection. */
    async asAdmin(text: string, values: unknown[]) {
      const admin = new pg.Client({ connectionString: testServices().adminUrl })
      await admin.connect()
      try {
        return (await admin.query(text, values)).rows
      } finally {
        await admin.end()
      }
    },
    async close() {
      await db.close()
      await database.drop()
    },
  }
}

/** A template by SQL: tenant, id, name. */
export const INSERT_TEMPLATE = 'INSERT INTO templates (tenant_id, id, name, subject) VALUES ($1, $2, $3, $3)'

/** A template's columns but for its tenant. */
export function templateData(values: { id?: string; name?: string } = {}) {
  const { id = uuidv7(), name = 'welcome' } = values
  return { id, name, subject: `about ${name}` }
}
