import type { CampaignLeadFilter, LeadFilter } from '#graphql/oltp'
import { findPage } from '#platform/database/pages.ts'
import { filterId } from '#platform/graph/ids.ts'
import type { Prisma } from '#prisma/oltp'
import type { Context } from '../../context.ts'
import type { Database } from '../../database.ts'
import { NEWEST_FIRST, type PageInput } from '../lists.ts'
import { filterSearch } from '../texts.ts'

/**
 * A page of the tenant's leads, newest first.
 * @throws AppError INVALID_INPUT for a bad page or cursor
 */
export function findLeads(db: Database, { filter, ...page }: PageInput & { filter?: LeadFilter | null }) {
  return findPage(db.tenant.lead, { ...page, where: readLeadFilter(filter ?? {}), sort: NEWEST_FIRST })
}

/**
 * A page of the leads in a campaign and how far each has got, newest first; null for an unknown campaign.
 * @throws AppError INVALID_INPUT for a bad page or cursor
 */
export async function findCampaignLeads(
  { db, loaders }: Pick<Context, 'db' | 'loaders'>,
  { campaignId, filter, ...page }: PageInput & { campaignId: string; filter?: CampaignLeadFilter | null },
) {
  const campaign = await loaders.campaigns.load(campaignId)
  if (!campaign) return null
  const where = { campaignId: campaign.id, status: filter?.status ?? undefined }
  return findPage(db.tenant.campaignEnrollment, { ...page, where, sort: NEWEST_FIRST })
}

/**
 * Which leads a filter means.
 * @throws AppError INVALID_INPUT for a text that can't be searched for
 */
export function readLeadFilter(filter: LeadFilter): Prisma.LeadWhereInput {
  const search = filterSearch(filter.search)
  const campaignId = filterId(filter.campaignId)
  return {
    deletedAt: null,
    status: filter.status ?? undefined,
    ...(search && { OR: [{ email: search }, { name: search }, { company: search }] }),
    ...(campaignId && { enrollments: { some: { campaignId } } }),
  }
}
