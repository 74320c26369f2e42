import type { TierDatabase } from '#platform/database/tierDatabase.ts'
import type { PrismaClient } from '#prisma/content'

/** This tier's database: `tenant` and `tenantSql` for services, `system` for the relay. */
export type Database = TierDatabase<PrismaClient>
