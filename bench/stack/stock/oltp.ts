import { PrismaClient } from '#prisma/oltp'
import { type Asker, buildStockSchema, makePage, type Resolvers, rowLoader, type StockSubgraph } from './subgraph.ts'
import { forTenant, openAdapter } from './tenantPrisma.ts'

const NEWEST_FIRST = [{ createdAt: 'desc' as const }, { id: 'desc' as const }]

type Context = ReturnType<typeof makeContext>

const prisma = new PrismaClient({ adapter: openAdapter() })

function makeContext({ tenantId }: Asker) {
  const db = forTenant(prisma, tenantId)
  const live = (ids: string[]) => ({ where: { tenantId, id: { in: ids }, deletedAt: null } })
  return {
    tenantId,
    db,
    campaigns: rowLoader((ids) => db.campaign.findMany(live(ids))),
    companies: rowLoader((ids) => db.company.findMany(live(ids))),
    leads: rowLoader((ids) => db.lead.findMany(live(ids))),
    emailAccounts: rowLoader((ids) => db.emailAccount.findMany(live(ids))),
    messages: rowLoader((ids) => db.inboxMessageRef.findMany({ where: { tenantId, id: { in: ids } } })),
  }
}

type ById = { id: string }
type PageOfMessages = { first: number; filter?: { emailAccountId?: string; direction?: string } }
type MessageRow = Record<'campaignId' | 'leadId' | 'contentStorageKey', string | null> & { emailAccountId: string }

const resolvers = {
  Query: {
    campaign: (_: unknown, { id }: ById, { campaigns }: Context) => campaigns.load(id),
    message: (_: unknown, { id }: ById, { messages }: Context) => messages.load(id),
    campaigns: async (_: unknown, { first }: { first: number }, { db, tenantId }: Context) => {
      const where = { tenantId, deletedAt: null }
      return makePage(await db.campaign.findMany({ where, orderBy: NEWEST_FIRST, take: first + 1 }), first)
    },
    messages: async (_: unknown, { first, filter }: PageOfMessages, { db, tenantId }: Context) => {
      const where = { tenantId, ...filter }
      return makePage(await db.inboxMessageRef.findMany({ where, orderBy: NEWEST_FIRST, take: first + 1 }), first)
    },
  },
  Campaign: {
    __resolveReference: ({ id }: ById, { campaigns }: Context) => campaigns.load(id),
    company: ({ companyId }: { companyId: string }, _: unknown, { companies }: Context) => companies.load(companyId),
  },
  Company: { __resolveReference: ({ id }: ById, { companies }: Context) => companies.load(id) },
  Lead: { __resolveReference: ({ id }: ById, { leads }: Context) => leads.load(id) },
  EmailAccount: { __resolveReference: ({ id }: ById, { emailAccounts }: Context) => emailAccounts.load(id) },
  InboxMessageRef: {
    __resolveReference: ({ id }: ById, { messages }: Context) => messages.load(id),
    campaign: ({ campaignId }: MessageRow, _: unknown, { campaigns }: Context) =>
      campaignId && campaigns.load(campaignId),
    lead: ({ leadId }: MessageRow, _: unknown, { leads }: Context) => leadId && leads.load(leadId),
    emailAccount: ({ emailAccountId }: MessageRow, _: unknown, { emailAccounts }: Context) =>
      emailAccounts.load(emailAccountId),
    content: ({ contentStorageKey }: MessageRow) => contentStorageKey && { storageKey: contentStorageKey },
  },
}

export const oltp: StockSubgraph = { schema: buildStockSchema('oltp', resolvers as Resolvers), makeContext }
