import type { CampaignFilter, CampaignOrder } from '#graphql/oltp'
import { type Connection, findPage, type SortField } from '#platform/database/pages.ts'
import { filterId } from '#platform/graph/ids.ts'
import type { Campaign, Prisma } from '#prisma/oltp'
import type { Database } from '../../database.ts'
import { filterPeriod, type PageInput } from '../lists.ts'
import { filterSearch } from '../texts.ts'

type CampaignsInput = PageInput & { filter?: CampaignFilter | null; orderBy?: CampaignOrder | null }

/**
 * A page of the tenant's campaigns, newest first unless ordered otherwise.
 * @throws AppError INVALID_INPUT for a bad page or cursor
 */
export function findCampaigns(db: Database, { filter, orderBy, ...page }: CampaignsInput) {
  const where = filter ? readFilter(filter) : { deletedAt: null }
  if (orderBy?.field === 'reply_rate') return findByReplyRate(db, where, orderBy.direction ?? 'desc', page)
  return findPage(db.tenant.campaign, { ...page, where, sort: [readOrder(orderBy)] })
}

/** In the order of their projected figures, where every campaign has a row: those without a rate last. */
async function findByReplyRate(
  db: Database,
  where: Prisma.CampaignWhereInput,
  direction: 'asc' | 'desc',
  page: PageInput,
): Promise<Connection<Campaign>> {
  const metrics = await findPage(db.tenant.campaignMetric, {
    ...page,
    where: { campaign: where },
    sort: [{ field: 'replyRate', direction, nulls: 'last' }],
    key: 'campaignId',
    include: { campaign: true },
  })
  const edges = metrics.edges.map(({ node, cursor }) => ({ node: node.campaign, cursor }))
  return { ...metrics, edges, nodes: edges.map(({ node }) => node) }
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
    default:
      return { field: 'createdAt', direction }
  }
}
