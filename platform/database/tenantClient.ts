import { AppError } from '../errors.ts'
import { type ModelFacts, readModels } from './dataModel.ts'
import { planCount, planRead } from './plainReads.ts'
import { type Arguments, flattenKey, narrowFilter, narrowKey, ownData, requireKeptTenant } from './tenantArguments.ts'
import type { TenantPool } from './tenantPool.ts'
import { currentTenant, findCurrentTenant } from './tenantScope.ts'

/**
 * A Prisma client whose every statement names the tenant in scope. `TransactionClient`s of `$transaction` are the same.
 *
 * The types are Prisma's own, so `tenantId` stays required where Prisma requires it: write `tenantId: currentTenant()` in
 * `data`, and `where: tenantKey(id)` for `update`, `delete` and `upsert`. Filters of reads need no tenant.
 */
export type TenantClient<Client> = Omit<Client, '$extends' | '$on' | '$connect' | '$disconnect'>

/** Where plain reads are run: pages and rows at once with others, counts, which may take long, by themselves. */
type PlainSql = Pick<TenantPool, 'query' | 'read'>

type Operation = (args?: Arguments) => PromiseLike<unknown>
type Delegate = Record<string, Operation>

/** The unique filter of the tenant's row `id` in a table keyed by (tenant_id, id). */
export function tenantKey(id: string): { tenantId_id: { tenantId: string; id: string } } {
  return { tenantId_id: { tenantId: currentTenant(), id } }
}

/**
 * Wraps a Prisma client that sits on a TenantPool. Row level security is the guard; the `tenant_id` added to every
 * `where` here routes the statement in a sharded database, and to every `data` saves each service from doing it.
 *
 * - `findUnique` runs as `findFirst`, on every model: Prisma collects same-tick `findUnique` calls of *all* requests into
 *   one statement, which would run as one of their tenants.
 * - An `upsert` with an empty `update` would be SELECT + INSERT and fail under concurrency; it writes its key instead,
 *   which makes it one atomic statement.
 * - Another tenant's id anywhere in `where` or `data`, and relation writes that would change a row's tenant, are refused.
 * - Plain reads go to `sql` directly (see `planRead`), but for those inside a transaction, whose connection is Prisma's.
 */
export function makeTenantClient<Client extends object>(prisma: Client, sql: PlainSql): TenantClient<Client> {
  return wrapClient(prisma, readModels(prisma), sql)
}

function wrapClient<Client extends object>(
  client: Client,
  models: ReadonlyMap<string, ModelFacts>,
  sql?: PlainSql,
): Client {
  const wrapped = new Map<string | symbol, unknown>()
  return new Proxy(client, {
    get(target, property) {
      if (!wrapped.has(property)) wrapped.set(property, wrapProperty(target, property, models, sql))
      return wrapped.get(property)
    },
  })
}

function wrapProperty(
  client: object,
  property: string | symbol,
  models: ReadonlyMap<string, ModelFacts>,
  sql: PlainSql | undefined,
): unknown {
  const value = Reflect.get(client, property)
  const model = typeof property === 'string' ? models.get(property) : undefined
  if (model) return wrapDelegate(value as Delegate, model, sql)
  if (property === '$transaction') return wrapTransaction(value as TransactionMethod, client, models)
  if (property === '$extends') return refuseExtension
  return typeof value === 'function' ? value.bind(client) : value
}

type TransactionMethod = (work: unknown, options?: unknown) => Promise<unknown>

function wrapTransaction(transaction: TransactionMethod, client: object, models: ReadonlyMap<string, ModelFacts>) {
  return (work: unknown, options?: unknown) => {
    currentTenant()
    if (typeof work !== 'function') return transaction.call(client, work, options)
    return transaction.call(client, (tx: object) => work(wrapClient(tx, models)), options)
  }
}

function refuseExtension(): never {
  throw new AppError('INTERNAL', 'extending the tenant client could bypass its tenant')
}

function wrapDelegate(delegate: Delegate, model: ModelFacts, sql: PlainSql | undefined): Delegate {
  const operations: Delegate = Object.create(delegate)
  for (const [name, scope] of Object.entries(OPERATIONS)) {
    const runAs = RUN_AS[name] ?? name
    const run = delegate[runAs]
    if (!run) continue
    const readPlainly = PLAIN_READS[runAs]
    operations[name] = (args?: Arguments) => {
      const scoped = scopeArguments(scope, args, model)
      const byPrisma = () => run.call(delegate, scoped)
      return (sql && readPlainly?.(sql, model, scoped, byPrisma)) ?? byPrisma()
    }
  }
  return new Proxy(operations, {
    get(target, property) {
      if (typeof property === 'string' && !(property in OPERATIONS) && typeof delegate[property] === 'function') {
        throw new AppError('INTERNAL', `${model.name}.${property} is not known to the tenant client`)
      }
      return Reflect.get(target, property)
    },
  })
}

type PlainRead = (
  sql: PlainSql,
  model: ModelFacts,
  args: Arguments,
  byPrisma: () => PromiseLike<unknown>,
) => PromiseLike<unknown> | null

const PLAIN_READS: Record<string, PlainRead> = {
  findMany(sql, model, args, byPrisma) {
    const read = planRead(model, args)
    return read && lazily(async () => (await sql.read(read)).rows, byPrisma)
  },
  findFirst(sql, model, args, byPrisma) {
    const read = args.take === undefined ? planRead(model, { ...args, take: 1 }) : null
    return read && lazily(async () => (await sql.read(read)).rows[0] ?? null, byPrisma)
  },
  count(sql, model, args, byPrisma) {
    const read = planCount(model, args)
    return read && lazily(async () => (await sql.query<{ count: number }>(read)).rows[0]?.count, byPrisma)
  },
}

/** Reads when it is awaited, as Prisma's promises do; all else that those can do (batches, relations) is Prisma's own. */
function lazily(read: () => Promise<unknown>, byPrisma: () => object): PromiseLike<unknown> {
  let started: Promise<unknown> | undefined
  const start = () => (started ??= read())
  const promise: Omit<Promise<unknown>, typeof Symbol.toStringTag> = {
    // biome-ignore lint/suspicious/noThenProperty: it is a promise that has not begun
    then: (...handlers) => start().then(...handlers),
    catch: (handler) => start().catch(handler),
    finally: (handler) => start().finally(handler),
  }
  return new Proxy(promise, { get: (own, name) => Reflect.get(name in own ? own : byPrisma(), name) })
}

type Scope = (args: Arguments, model: ModelFacts, tenantId: string) => Arguments

/** Platform and membership tables are read without a tenant in the statement; their policies decide what is seen. */
function scopeArguments(scope: Scope, args: Arguments | undefined, model: ModelFacts): Arguments {
  return scope(args ?? {}, model, model.isTenantScoped ? currentTenant() : (findCurrentTenant() ?? ''))
}

const byFilter: Scope = (args, model, tenantId) => ({ ...args, where: narrowFilter(args.where, model, tenantId) })
const byFlatKey: Scope = (args, model, tenantId) => ({ ...args, where: flattenKey(args.where, model, tenantId) })
const byKey: Scope = (args, model, tenantId) => ({ ...args, where: narrowKey(args.where ?? {}, model, tenantId) })
const newRows: Scope = (args, model, tenantId) => ({ ...args, data: ownData(args.data ?? {}, model, tenantId) })
const changed =
  (narrow: Scope): Scope =>
  (args, model, tenantId) => {
    requireKeptTenant(args.data ?? {}, model, tenantId)
    return narrow(args, model, tenantId)
  }

const upserted: Scope = (args, model, tenantId) => {
  requireKeptTenant(args.update ?? {}, model, tenantId)
  return {
    ...byKey(args, model, tenantId),
    create: ownData(args.create ?? {}, model, tenantId),
    update: isEmpty(args.update) ? keyAsData(args.where ?? {}, model, tenantId) : args.update,
  }
}

/** One column of an upsert's key, written as it is: an update that changes nothing but is not empty. */
function keyAsData(where: Arguments, model: ModelFacts, tenantId: string): Arguments {
  const [name, value] =
    Object.entries(flattenKey(where, model, tenantId)).find(([column]) => column !== 'tenantId') ?? []
  return { [name as string]: value }
}

function isEmpty(data: Arguments | undefined): boolean {
  return Object.values(data ?? {}).every((value) => value === undefined)
}

/** Every operation a delegate offers, and how it is narrowed to a tenant; one that is not listed is refused. */
const OPERATIONS: Record<string, Scope> = {
  findUnique: byFlatKey,
  findUniqueOrThrow: byFlatKey,
  findFirst: byFilter,
  findFirstOrThrow: byFilter,
  findMany: byFilter,
  count: byFilter,
  aggregate: byFilter,
  groupBy: byFilter,
  create: newRows,
  createMany: newRows,
  createManyAndReturn: newRows,
  update: changed(byKey),
  updateMany: changed(byFilter),
  updateManyAndReturn: changed(byFilter),
  upsert: upserted,
  delete: byKey,
  deleteMany: byFilter,
}

const RUN_AS: Record<string, string> = { findUnique: 'findFirst', findUniqueOrThrow: 'findFirstOrThrow' }
