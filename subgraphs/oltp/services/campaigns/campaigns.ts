import type { CampaignFilter, CampaignOrder } from '#graphql/oltp'
import { findPage, type SortField } from '#platform/database/pages.ts'
import { filterId } from '#platform/graph/ids.ts'
import type { Prisma } from '#prisma/oltp'
import type { Database } from '../../database.ts'
import { filterPeriod, type PageInput } from '../lists.ts'
import { filterSearch } from '../texts.ts'

type CampaignsInput = PageInput & { filter?: CampaignFilter | null; orderBy?: CampaignOrder | null }

/**
 * A page of the tenant's campaigns, newest first unless ordered otherwise.
 * @throws AppError INVALID_INPUT for a bad page or cursor
 */
export function findCampaigns(db: Database, { filter, orderBy, ...page }: CampaignsInput) {
  return findPage(db.tenant.campaign, {
    ...page,
    where: filter ? readFilter(filter) : { deletedAt: null },
    sort: [readOrder(orderBy)],
    include: { metrics: orderBy?.field === 'reply_rate' },
  })
}

function readFilter(filter: CampaignFilter): Prisma.CampaignWhereInput {
  const emailAccountId = filterId(filter.emailAccountId)
  return {
    deletedAt: null,
    ...(filter.status && { status: { in: [...new Set(filter.status)] } }),
    companyId: filterId(filter.companyId),
    name: filterSearch(filter.search),
    createdAt: filterPeriod(filter.createdAt),
    ...(emailAccountId && { steps: { some: { emailAccountId, deletedAt: null } } }),
    ...(filter.isArchived != null && { archivedAt: filter.isArchived ? { not: null } : null }),
  }
}

function readOrder(order: CampaignOrder | null | undefined): SortField {
  const direction = order?.direction ?? 'desc'
  switch (order?.field) {
    case 'name':
      return { field: 'name', direction }
    case 'updated_at':
      return { field: 'updatedAt', direction }
    case 'reply_rate':
      return { field: 'metrics.replyRate', direction, nulls: 'last' }
    default:
      return { field: 'createdAt', direction }
  }
}
