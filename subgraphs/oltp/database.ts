import type { TierDatabase } from '#platform/database/tierDatabase.ts'
import type { PrismaClient } from '#prisma/oltp'

/** This tier's database: `tenant` and `tenantSql` for services, `system` for provisioning, the relay and staff. */
export type Database = TierDatabase<PrismaClient>
