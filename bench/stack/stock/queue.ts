import DataLoader from 'dataloader'
import { PrismaClient } from '#prisma/queue'
import { type Asker, buildStockSchema, makePage, type Resolvers, rowLoader, type StockSubgraph } from './subgraph.ts'
import { forTenant, openAdapter } from './tenantPrisma.ts'

type Context = ReturnType<typeof makeContext>

const prisma = new PrismaClient({ adapter: openAdapter() })

function makeContext({ tenantId }: Asker) {
  const db = forTenant(prisma, tenantId)
  return {
    tenantId,
    db,
    jobs: rowLoader((ids) => db.job.findMany({ where: { tenantId, id: { in: ids } } })),
    queues: new DataLoader(async (names: readonly string[]) => {
      const rows = await db.jobQueue.findMany({ where: { name: { in: [...names] } } })
      const byName = new Map(rows.map((row) => [row.name, row]))
      return names.map((name) => byName.get(name) ?? null)
    }),
  }
}

const resolvers = {
  Query: {
    jobs: async (_: unknown, { first }: { first: number }, { db, tenantId }: Context) =>
      makePage(await db.job.findMany({ where: { tenantId }, orderBy: { id: 'desc' }, take: first + 1 }), first),
  },
  Job: {
    __resolveReference: ({ id }: { id: string }, { jobs }: Context) => jobs.load(id),
    queue: ({ queueName }: { queueName: string }, _: unknown, { queues }: Context) => queues.load(queueName),
  },
}

export const queue: StockSubgraph = { schema: buildStockSchema('queue', resolvers as Resolvers), makeContext }
