import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { nameStatement } from '#platform/database/statementNames.ts'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { openTierDatabase, type TierDatabase } from '#platform/database/tierDatabase.ts'
import { PrismaClient } from '#prisma/oltp'
import type { Contender } from './rounds.ts'
import type { BenchDatabase } from './tierDatabase.ts'

const TENANTS = 50
const ROWS_PER_TENANT = 200
const POOL_SIZE = 10
const PAGE = 20

/** The same question put to every contender; `read` brings their answers into one form. */
export type Workload = { title: string; contenders: Contender[]; read: (answer: unknown) => unknown }

export type Contenders = {
  workloads: Workload[]
  postgresVersion: string
  db: TierDatabase<PrismaClient>
  plain: { pool: pg.Pool; prisma: PrismaClient }
  /** For Prisma's extension: with the adapter's defaults, as documented, and with named statements. */
  documented: PrismaClient
  tuned: PrismaClient
}

type Row = { tenantId: string; id: string }

const COLUMNS = 'tenant_id, id, name, subject, body_text, body_html, folder, tags, deleted_at, created_at, updated_at'
const SET_TENANT_SETTING = 'app.current_tenant_id'

/** Writes the rows twice, behind row level security and without it, and opens everyone's way to them. */
export async function openContenders(database: BenchDatabase): Promise<Contenders> {
  const db = openTierDatabase({ ...database, poolSize: POOL_SIZE }, PrismaClient)
  const rows = await writeRows(db, database.ownerUrl)
  // What everyone gets alike: ours has these limits too, and what is measured is scoping, not the want of them.
  const config = {
    connectionString: database.url,
    max: POOL_SIZE,
    statement_timeout: 15_000,
    connectionTimeoutMillis: 10_000,
    options: '-c TimeZone=UTC',
  }
  const pool = new pg.Pool(config)
  // Connections may still be closing when the server stops.
  pool.on('error', () => {})
  const named = { statementNameGenerator: nameStatement }
  const plainPrisma = new PrismaClient({ adapter: new PrismaPg(pool, { ...named, schema: 'plain' }) })
  const documented = new PrismaClient({ adapter: new PrismaPg(config) })
  const tuned = new PrismaClient({ adapter: new PrismaPg(config, named) })
  const contenders = { db, plain: { pool, prisma: plainPrisma }, documented, tuned }
  const { rows: version } = await pool.query('SHOW server_version')
  return {
    ...contenders,
    postgresVersion: version[0]?.server_version,
    workloads: [rowByKey(contenders, rows), newestPage(contenders, rows)],
  }
}

export async function closeContenders({ db, plain, documented, tuned }: Contenders): Promise<void> {
  await db.system.template.deleteMany({ where: { folder: 'bench' } })
  await Promise.all([plain.prisma.$disconnect(), documented.$disconnect(), tuned.$disconnect()])
  await plain.pool.end()
  await db.close()
}

async function writeRows(db: TierDatabase<PrismaClient>, ownerUrl: string): Promise<Row[]> {
  const tenantIds = Array.from({ length: TENANTS }, () => uuidv7())
  await db.system.tenant.createMany({ data: tenantIds.map((id) => ({ id, name: 'bench', slug: `bench-${id}` })) })
  const rows = tenantIds.flatMap((tenantId) =>
    Array.from({ length: ROWS_PER_TENANT }, (_, n) => ({
      tenantId,
      id: uuidv7(),
      name: `template ${n}`,
      subject: `Hello {{lead.name}}, number ${n}`,
      bodyText: 'Dear {{lead.name}}, '.repeat(10),
      folder: 'bench',
      tags: ['a', 'b'],
      createdAt: new Date(1_800_000_000_000 + n * 1000),
    })),
  )
  await db.system.template.createMany({ data: rows })
  const owner = new pg.Client(ownerUrl)
  await owner.connect()
  await owner.query(`
    DROP SCHEMA IF EXISTS plain CASCADE;
    CREATE SCHEMA plain;
    CREATE TABLE plain.templates (LIKE public.templates INCLUDING ALL);
    INSERT INTO plain.templates SELECT * FROM public.templates;
    GRANT USAGE ON SCHEMA plain TO oltp_app;
    GRANT SELECT ON plain.templates TO oltp_app;
    ANALYZE public.templates; ANALYZE plain.templates`)
  await owner.end()
  return rows
}

type Ways = Pick<Contenders, 'db' | 'plain' | 'documented' | 'tuned'>

function rowByKey({ db, plain, documented, tuned }: Ways, rows: readonly Row[]): Workload {
  const at = (n: number) => rows[(n * 7919) % rows.length] as Row
  const sql = (schema: string) => ({
    name: `by_key_${schema}`,
    text: `SELECT ${COLUMNS} FROM ${schema}.templates WHERE tenant_id = $1 AND id = $2`,
  })
  const key = ({ tenantId, id }: Row) => ({ where: { tenantId_id: { tenantId, id } } })
  return {
    title: 'One row by its key',
    read: (answer) => withoutCase(Array.isArray(answer) ? answer[0] : answer),
    contenders: sixWays({
      pg: (n) => plain.pool.query({ ...sql('plain'), values: [at(n).tenantId, at(n).id] }).then(({ rows }) => rows),
      tenantPool: (n) =>
        asTenantOf(at(n), (row) => db.tenantSql.query({ ...sql('public'), values: [row.tenantId, row.id] })).then(
          ({ rows }) => rows,
        ),
      prisma: (n) => plain.prisma.template.findFirst({ where: key(at(n)).where.tenantId_id }),
      tenantClient: (n) => asTenantOf(at(n), (row) => db.tenant.template.findUnique(key(row))),
      extension: (n) => extendForTenant(documented, at(n).tenantId).template.findUnique(key(at(n))),
      tunedExtension: (n) => keptExtension(tuned, at(n).tenantId).template.findUnique(key(at(n))),
    }),
  }
}

function newestPage({ db, plain, documented, tuned }: Ways, rows: readonly Row[]): Workload {
  const at = (n: number) => rows[(n * 7919) % rows.length] as Row
  const sql = (schema: string) => ({
    name: `newest_${schema}`,
    text: `SELECT ${COLUMNS} FROM ${schema}.templates WHERE tenant_id = $1 AND deleted_at IS NULL
           ORDER BY created_at DESC, id DESC LIMIT ${PAGE}`,
  })
  const page = (where: object) => ({
    where: { ...where, deletedAt: null },
    orderBy: [{ createdAt: 'desc' as const }, { id: 'desc' as const }],
    take: PAGE,
  })
  return {
    title: `The ${PAGE} newest rows`,
    read: (answer) => (answer as object[]).map(withoutCase),
    contenders: sixWays({
      pg: (n) => plain.pool.query({ ...sql('plain'), values: [at(n).tenantId] }).then(({ rows }) => rows),
      tenantPool: (n) =>
        asTenantOf(at(n), (row) => db.tenantSql.query({ ...sql('public'), values: [row.tenantId] })).then(
          ({ rows }) => rows,
        ),
      prisma: (n) => plain.prisma.template.findMany(page({ tenantId: at(n).tenantId })),
      tenantClient: (n) => asTenantOf(at(n), () => db.tenant.template.findMany(page({}))),
      extension: (n) =>
        extendForTenant(documented, at(n).tenantId).template.findMany(page({ tenantId: at(n).tenantId })),
      tunedExtension: (n) => keptExtension(tuned, at(n).tenantId).template.findMany(page({ tenantId: at(n).tenantId })),
    }),
  }
}

type Way = Contender['request']

function sixWays(
  ways: Record<'pg' | 'tenantPool' | 'prisma' | 'tenantClient' | 'extension' | 'tunedExtension', Way>,
): Contender[] {
  return [
    { name: 'pg, no RLS', request: ways.pg },
    { name: 'pg, TenantPool', request: ways.tenantPool },
    { name: 'Prisma, no RLS', request: ways.prisma },
    { name: 'Prisma, tenant client', request: ways.tenantClient },
    { name: "Prisma's RLS extension", request: ways.extension },
    { name: '… kept per tenant, named statements', request: ways.tunedExtension },
  ]
}

function asTenantOf<Result>(row: Row, work: (row: Row) => PromiseLike<Result>): Promise<Result> {
  return runAsTenant(row.tenantId, () => work(row))
}

/**
 * Prisma's client extension example for row level security: each query in a batch transaction after set_config, the
 * extended client made for each request.
 */
function extendForTenant(prisma: PrismaClient, tenantId: string): PrismaClient {
  return prisma.$extends({
    query: {
      $allModels: {
        async $allOperations({ args, query }) {
          const [, result] = await prisma.$transaction([
            prisma.$executeRaw`SELECT set_config(${SET_TENANT_SETTING}, ${tenantId}, TRUE)`,
            query(args) as never,
          ])
          return result
        },
      },
    },
  }) as unknown as PrismaClient
}

const kept = new Map<string, PrismaClient>()

/** The same at its best: made once for each tenant. */
function keptExtension(prisma: PrismaClient, tenantId: string): PrismaClient {
  const client = kept.get(tenantId) ?? extendForTenant(prisma, tenantId)
  kept.set(tenantId, client)
  return client
}

/** Columns as pg and as Prisma name them become one form. */
function withoutCase(row: object): object {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name.replaceAll('_', '').toLowerCase(), value]))
}
