import type { DomainFilter } from '#graphql/oltp'
import { findPage } from '#platform/database/pages.ts'
import { filterId } from '#platform/graph/ids.ts'
import type { Database } from '../../database.ts'
import { NEWEST_FIRST, type PageInput } from '../lists.ts'

/**
 * A page of the tenant's domains, newest first.
 * @throws AppError INVALID_INPUT for a bad page or cursor
 */
export function findDomains(db: Database, { filter, ...page }: PageInput & { filter?: DomainFilter | null }) {
  const where = {
    deletedAt: null,
    companyId: filterId(filter?.companyId),
    verificationStatus: filter?.verificationStatus ?? undefined,
  }
  return findPage(db.tenant.domain, { ...page, where, sort: NEWEST_FIRST })
}

/** A page of the tenant's assignments of addresses to domains, newest first. */
export function findIpAssignments(db: Database, page: PageInput) {
  return findPage(db.tenant.domainIpAssignment, { ...page, sort: NEWEST_FIRST })
}
