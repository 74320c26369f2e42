import { type Connection, findPage } from '#platform/database/pages.ts'
import type { AnalyticsArchive } from '#prisma/analytics'
import type { AnalyticsDatabase } from '../context.ts'

export type ArchiveRow = AnalyticsArchive

/** Stretches of history of the tenant in scope that were moved out to files, newest first. */
export function findArchives(
  db: AnalyticsDatabase,
  page: { first?: number | null; after?: string | null },
): Promise<Connection<ArchiveRow>> {
  return findPage(db.tenant.analyticsArchive, {
    sort: [
      { field: 'createdAt', direction: 'desc' },
      { field: 'id', direction: 'desc' },
    ],
    ...page,
  })
}
