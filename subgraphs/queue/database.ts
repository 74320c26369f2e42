import type { TierDatabase } from '#platform/database/tierDatabase.ts'
import type { PrismaClient } from '#prisma/queue'

/** This tier's database: `tenant` and `tenantSql` for tenants, `system` for staff, relays and workers. */
export type Database = TierDatabase<PrismaClient>
