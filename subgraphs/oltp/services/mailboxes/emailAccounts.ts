import type { EmailAccountFilter } from '#graphql/oltp'
import { findPage } from '#platform/database/pages.ts'
import { filterId } from '#platform/graph/ids.ts'
import type { Database } from '../../database.ts'
import { NEWEST_FIRST, type PageInput } from '../lists.ts'
import { filterSearch } from '../texts.ts'

/**
 * A page of the tenant's mailboxes, newest first.
 * @throws AppError INVALID_INPUT for a bad page or cursor
 */
export function findEmailAccounts(
  db: Database,
  { filter, ...page }: PageInput & { filter?: EmailAccountFilter | null },
) {
  const where = {
    deletedAt: null,
    domainId: filterId(filter?.domainId),
    status: filter?.status ?? undefined,
    email: filterSearch(filter?.search),
  }
  return findPage(db.tenant.emailAccount, { ...page, where, sort: NEWEST_FIRST })
}
