import { type Connection, findPage } from '#platform/database/pages.ts'
import type { RetentionPolicy } from '#prisma/content'
import type { Database } from '../database.ts'

export type RetentionPolicyRow = RetentionPolicy

/** Policies of the tenant in scope, in the order they apply. */
export function findRetentionPolicies(
  db: Database,
  page: { first?: number | null; after?: string | null },
): Promise<Connection<RetentionPolicyRow>> {
  return findPage(db.tenant.retentionPolicy, { sort: [{ field: 'priority', direction: 'asc' }], ...page })
}
