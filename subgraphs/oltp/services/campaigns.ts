import { v7 as uuidv7 } from 'uuid'
import type { CampaignFilter, CampaignOrder, CreateCampaignInput } from '#graphql/oltp'
import { findPage, type SortField } from '#platform/database/pages.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { filterId, readId } from '#platform/graph/ids.ts'
import { audit } from '#platform/outbox/announce.ts'
import type { Prisma } from '#prisma/oltp'
import type { Context } from '../context.ts'
import type { Database } from '../database.ts'
import { makeRepeatable, rememberAnswer } from './idempotency.ts'
import { filterPeriod, type PageInput } from './lists.ts'
import type { CampaignRow } from './rows.ts'
import { filterSearch, readText } from './texts.ts'

const INSERT_DRAFT = `
  INSERT INTO campaigns (tenant_id, id, company_id, name, description)
  SELECT c.tenant_id, $2, c.id, $4, $5 FROM companies c JOIN tenants t ON t.id = c.tenant_id
  WHERE c.tenant_id = $1 AND c.id = $3 AND c.deleted_at IS NULL AND t.deleted_at IS NULL`

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

/**
 * Creates a draft and records who did. Repeating an `idempotencyKey` answers the first campaign again.
 * @throws AppError NOT_FOUND for an unknown company; INVALID_INPUT; CONFLICT for a key used with another input
 */
export async function createCampaign(context: Context, input: CreateCampaignInput): Promise<CampaignRow> {
  const { db, caller, loaders, relay, requestId } = context
  const companyId = readId(input.companyId, 'companyId')
  const name = readText(input.name, 'name', 200)
  const description = input.description?.trim() ? readText(input.description, 'description', 10_000) : null
  const request = makeRepeatable(input.idempotencyKey, 'createCampaign', [companyId, name, description])
  const tenantId = currentTenant()
  const made = { campaignId: uuidv7() }

  const { campaignId } = await db.tenantSql.transaction(async (tx) => {
    const earlier = request && (await rememberAnswer(tx, request, made))
    if (earlier) return earlier
    const { rowCount } = await tx.query(INSERT_DRAFT, [tenantId, made.campaignId, companyId, name, description])
    if (rowCount === 0) throw new AppError('NOT_FOUND', 'companyId: there is no such company')
    await audit(tx, {
      tenantId,
      correlationId: requestId,
      adminUserId: caller.userId,
      action: 'campaign.create',
      resourceType: 'Campaign',
      resourceId: made.campaignId,
      newValues: { companyId, name, description, status: 'draft' },
    })
    return made
  })
  relay.wake()
  const campaign = await loaders.campaigns.load(campaignId)
  if (!campaign) throw new AppError('NOT_FOUND', 'the campaign is gone')
  return campaign
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
