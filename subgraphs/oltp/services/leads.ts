import type { LeadFilter } from '#graphql/oltp'
import { findPage } from '#platform/database/pages.ts'
import { filterId } from '#platform/graph/ids.ts'
import type { Prisma } from '#prisma/oltp'
import type { Database } from '../database.ts'
import { NEWEST_FIRST, type PageInput } from './lists.ts'
import { filterSearch } from './texts.ts'

/**
 * A page of the tenant's leads, newest first.
 * @throws AppError INVALID_INPUT for a bad page or cursor
 */
export function findLeads(db: Database, { filter, ...page }: PageInput & { filter?: LeadFilter | null }) {
  return findPage(db.tenant.lead, { ...page, where: readFilter(filter ?? {}), sort: NEWEST_FIRST })
}

function readFilter(filter: LeadFilter): Prisma.LeadWhereInput {
  const search = filterSearch(filter.search)
  const campaignId = filterId(filter.campaignId)
  return {
    deletedAt: null,
    status: filter.status ?? undefined,
    ...(search && { OR: [{ email: search }, { name: search }, { company: search }] }),
    ...(campaignId && { enrollments: { some: { campaignId } } }),
  }
}
