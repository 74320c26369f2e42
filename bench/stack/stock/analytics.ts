import DataLoader from 'dataloader'
import { PrismaClient } from '#prisma/analytics'
import { type Asker, buildStockSchema, type Resolvers, type StockSubgraph } from './subgraph.ts'
import { forTenant, openAdapter } from './tenantPrisma.ts'

const COUNTED = {
  sent: true,
  delivered: true,
  openedTracked: true,
  clickedTracked: true,
  replied: true,
  bounced: true,
} as const
type Counter = keyof typeof COUNTED
type Totals = Record<Counter, number> & { asOf: Date | undefined }

const prisma = new PrismaClient({ adapter: openAdapter() })

type Context = ReturnType<typeof makeContext>

function makeContext({ tenantId }: Asker) {
  const db = forTenant(prisma, tenantId)
  return {
    /** A campaign's days summed up, and the instant up to which everything is counted. */
    totals: new DataLoader(async (ids: readonly string[]): Promise<Totals[]> => {
      const [campaigns, watermark] = await Promise.all([
        db.campaignAnalytics.groupBy({
          by: ['campaignId'],
          where: { tenantId, campaignId: { in: [...ids] } },
          _sum: COUNTED,
        }),
        db.analyticsWatermark.findUnique({ where: { pipeline: 'email_events' }, select: { upTo: true } }),
      ])
      const sums = new Map(campaigns.map(({ campaignId, _sum }) => [campaignId, _sum]))
      return ids.map((id) => {
        const sum = sums.get(id)
        const counts = Object.keys(COUNTED).map((name) => [name, Number(sum?.[name as Counter] ?? 0)])
        return { ...Object.fromEntries(counts), asOf: watermark?.upTo }
      })
    }),
  }
}

const resolvers = {
  Campaign: {
    __resolveReference: ({ id }: { id: string }) => ({ id }),
    analytics: ({ id }: { id: string }, _: unknown, { totals }: Context) => totals.load(id),
  },
  CampaignAnalytics: {
    replyRate: ({ replied, sent }: Totals) => (sent > 0 ? Math.min(1, replied / sent) : 0),
  },
}

export const analytics: StockSubgraph = { schema: buildStockSchema('analytics', resolvers as Resolvers), makeContext }
