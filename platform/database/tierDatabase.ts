import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import { PrismaPool } from './prismaPool.ts'
import { StatementCounter } from './statementCount.ts'
import { nameStatement } from './statementNames.ts'
import { makeTenantClient, type TenantClient } from './tenantClient.ts'
import { TenantPool } from './tenantPool.ts'

export type TierDatabaseOptions = {
  /** As the role `<tier>_app`: held to one tenant at a time by row level security. */
  url: string
  /** As the role `<tier>_system`: sees every tenant. */
  systemUrl: string
  /** Connections of each of the two roles, at most. */
  poolSize?: number
  /** A statement that runs longer is cancelled. */
  statementTimeoutMs?: number
  /** For a pooler that does not keep prepared statements; it must also let `options` through, or set UTC itself. */
  unnamedStatements?: boolean
}

/** A tier's database: one way in for tenants, a differently named one for the platform itself. */
export type TierDatabase<Client> = {
  /** What services take: Prisma as the tenant in scope. */
  tenant: TenantClient<Client>
  /** The same by SQL: for statements Prisma cannot say. */
  tenantSql: TenantPool
  /** Every tenant's rows: for relays, workers (logged) and staff reads (audited) only. */
  system: Client
  systemSql: pg.Pool
  /** Counts what the pools send; see `countStatements`. */
  statements: StatementCounter
  close(): Promise<void>
}

type PrismaClientClass<Client> = new (options: {
  adapter: PrismaPg
  errorFormat: 'minimal'
  transactionOptions: { maxWait: number; timeout: number }
}) => Client

/** Connections that wait longer for their turn fail, so that a stuck database is an error and not a hanging request. */
const CONNECT_TIMEOUT_MS = 10_000

/** A transaction whose process says nothing for so long is ended: it may hold locks that everybody waits for. */
const STALLED_MS = 60_000

/** Opens a tier's pools (they connect when first used) for its generated Prisma client class. */
export function openTierDatabase<Client extends object>(
  options: TierDatabaseOptions,
  prismaClient: PrismaClientClass<Client>,
): TierDatabase<Client> {
  const { poolSize = 10, statementTimeoutMs = 15_000, unnamedStatements = false } = options
  const statements = new StatementCounter()
  const poolConfig = {
    max: poolSize,
    statement_timeout: statementTimeoutMs,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    // Prisma reads timestamptz as if the session were in UTC. A client that stands still while an answer is sent to it
    // would keep its transaction, and the locks it holds, for as long as it stands: no statement timeout ends that wait.
    options: `-c TimeZone=UTC -c tcp_user_timeout=${CONNECT_TIMEOUT_MS} -c idle_in_transaction_session_timeout=${STALLED_MS}`,
    Client: statements.clientClass(),
  }
  const tenantSql = new TenantPool({ ...poolConfig, connectionString: options.url, unnamedStatements })
  const systemSql = new pg.Pool({ ...poolConfig, connectionString: options.systemUrl })
  // A broken idle connection is replaced on next use; without a listener it would end the process.
  systemSql.on('error', () => {})
  systemSql.on('connect', (client) => client.on('error', () => {}))

  const transactionOptions = { maxWait: CONNECT_TIMEOUT_MS, timeout: statementTimeoutMs * 2 }
  const adapterOptions = unnamedStatements ? {} : { statementNameGenerator: nameStatement }
  // Any other format captures a stack for each query, and puts arguments, personal data among them, into messages.
  const errorFormat = 'minimal'
  const open = (pool: pg.Pool) =>
    new prismaClient({ adapter: new PrismaPg(pool, adapterOptions), errorFormat, transactionOptions })
  const tenantPrisma = open(new PrismaPool(tenantSql) as unknown as pg.Pool)
  const system = open(systemSql)
  return {
    tenant: makeTenantClient(tenantPrisma, tenantSql),
    tenantSql,
    system,
    systemSql,
    statements,
    async close() {
      for (const client of [tenantPrisma, system]) await (client as { $disconnect?(): Promise<void> }).$disconnect?.()
      await Promise.all([tenantSql.end(), systemSql.end()])
    },
  }
}
