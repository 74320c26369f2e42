import { type Connection, findPage } from '#platform/database/pages.ts'
import type { ContentAccessLog } from '#prisma/content'
import type { Database } from '../database.ts'
import { isStorageKey } from './storageKeys.ts'

export type AccessRow = ContentAccessLog

export type AccessLogArgs = {
  first?: number | null
  after?: string | null
  filter?: { storageKey?: string | null } | null
}

/** Who looked at content of the tenant in scope, newest first. */
export function findAccesses(db: Database, { filter, first, after }: AccessLogArgs): Promise<Connection<AccessRow>> {
  const storageKey = filter?.storageKey
  const none = { id: { in: [] } }
  return findPage(db.tenant.contentAccessLog, {
    where: storageKey ? (isStorageKey(storageKey) ? { storageKey } : none) : {},
    sort: [{ field: 'createdAt', direction: 'desc' }],
    first,
    after,
  })
}
