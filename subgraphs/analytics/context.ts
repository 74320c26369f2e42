import type { TierDatabase } from '#platform/database/tierDatabase.ts'
import { AppError } from '#platform/errors.ts'
import type { SubgraphContext } from '#platform/subgraph/subgraph.ts'
import type { PrismaClient } from '#prisma/analytics'
import type { Loaders } from './loaders.ts'

export type AnalyticsDatabase = TierDatabase<PrismaClient>

/** What every resolver of this tier gets. */
export type Context = SubgraphContext & { db: AnalyticsDatabase; loaders: Loaders }

/**
 * The context of somebody who acts within a tenant: the way to every read of a tenant's numbers.
 * @throws AppError FORBIDDEN for staff, and for a service that names no tenant
 */
export function inTenant(context: Context): Context & { tenantId: string } {
  const { tenantId } = context.caller
  if (tenantId === null) throw new AppError('FORBIDDEN', "this is for tenants' users")
  return { ...context, tenantId }
}
