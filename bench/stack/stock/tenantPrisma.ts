/** Prisma's documented way to row level security, and the connections it goes over. */
import { PrismaPg } from '@prisma/adapter-pg'

/** What the extension needs of a generated client, whichever tier's it is. */
type PrismaLike = {
  $extends: (extension: never) => unknown
  $transaction: (queries: never) => Promise<unknown>
  $executeRaw: (sql: TemplateStringsArray, ...values: unknown[]) => unknown
}

/** The same limits as our own pools have, so that what is measured is not the want of them. */
export function openAdapter(): PrismaPg {
  return new PrismaPg({
    connectionString: process.env.DATABASE_URL,
    max: 10,
    statement_timeout: 15_000,
    connectionTimeoutMillis: 10_000,
    options: '-c TimeZone=UTC',
  })
}

/** Each query in a batch transaction after set_config; made anew for each request, as the example does. */
export function forTenant<Client extends PrismaLike>(prisma: Client, tenantId: string): Client {
  const extension = {
    query: {
      $allModels: {
        async $allOperations({ args, query }: { args: unknown; query: (args: unknown) => unknown }) {
          const setTenant = prisma.$executeRaw`SELECT set_config('app.current_tenant_id', ${tenantId}, TRUE)`
          const [, result] = (await prisma.$transaction([setTenant, query(args)] as never)) as unknown[]
          return result
        },
      },
    },
  }
  return prisma.$extends(extension as never) as Client
}
