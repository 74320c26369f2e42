import { AppError } from '../errors.ts'
import type { ModelFacts } from './dataModel.ts'

/** Arguments of a Prisma operation, as loosely as a function over all models must take them. */
// biome-ignore lint/suspicious/noExplicitAny: each model has its own argument types
export type Arguments = Record<string, any>

/** A filter of many rows, narrowed to the tenant. */
export function narrowFilter(where: Arguments | undefined, model: ModelFacts, tenantId: string): Arguments | undefined {
  if (!model.isTenantScoped) return where
  requireOwnTenant(where?.tenantId, model, tenantId)
  return { ...where, tenantId }
}

/**
 * A unique filter (`update`, `delete`, `upsert`), narrowed to the tenant. A composite key that already carries the tenant
 * stays as it is: Prisma turns an upsert into one atomic statement only while nothing is added to its key.
 */
export function narrowKey(where: Arguments, model: ModelFacts, tenantId: string): Arguments {
  if (!model.isTenantScoped) return where
  requireOwnTenant(where.tenantId, model, tenantId)
  let named = false
  for (const part of compositeKeys(where, model)) {
    if (!('tenantId' in part)) continue
    requireOwnTenant(part.tenantId, model, tenantId)
    named ||= part.tenantId !== undefined
  }
  return named ? where : { ...where, tenantId }
}

/**
 * A unique filter as a plain one, narrowed to the tenant, for findUnique run as findFirst.
 * @throws AppError INTERNAL when a key is undefined or missing: findFirst would answer with any row
 */
export function flattenKey(where: Arguments | undefined, model: ModelFacts, tenantId: string): Arguments {
  const flat: Arguments = {}
  let keys = 0
  for (const [name, value] of Object.entries(where ?? {})) {
    const parts = isCompositeKey(name, model)
      ? Object.entries(value ?? { [name]: undefined })
      : [[name, value] as const]
    for (const [part, partValue] of parts) {
      if (partValue === undefined || (partValue === null && part !== name)) {
        throw new AppError('INTERNAL', `${model.name}: a unique key is undefined`)
      }
      if (part in flat && flat[part] !== partValue) throw new AppError('INTERNAL', `${model.name}: two keys disagree`)
      flat[part] = partValue
      if (part !== 'tenantId') keys++
    }
  }
  if (keys === 0) throw new AppError('INTERNAL', `${model.name}: a unique filter names no key`)
  return narrowFilter(flat, model, tenantId) as Arguments
}

/** Data of a new row (or rows) with its tenant. */
export function ownData<Data extends Arguments | Arguments[]>(data: Data, model: ModelFacts, tenantId: string): Data {
  if (Array.isArray(data)) return data.map((row) => ownData(row as Arguments, model, tenantId)) as unknown as Data
  requireKeptTenant(data, model, tenantId)
  return model.isTenantScoped ? { ...data, tenantId } : data
}

/**
 * Refuses what would move a row to another tenant or to none: another tenant's id, and relation writes that Prisma
 * carries out by setting the whole composite key, tenant included. Rows are linked by writing the scalar `xId`.
 */
export function requireKeptTenant(data: Arguments, model: ModelFacts, tenantId: string): void {
  if (model.isTenantScoped) requireOwnTenant(data.tenantId, model, tenantId)
  for (const [relation, target] of model.relations) {
    const writes = data[relation]
    if (typeof writes !== 'object' || writes === null) continue
    for (const [kind, nested] of Object.entries(writes)) {
      if (RELINKING.has(kind)) {
        throw new AppError('INTERNAL', `${model.name}.${relation}: ${kind} rewrites the tenant; write the id column`)
      }
      for (const rows of nestedData(kind, nested)) requireKeptTenant(rows, target, tenantId)
    }
  }
}

const RELINKING = new Set(['connect', 'connectOrCreate', 'disconnect', 'set'])

/** The column values in a nested write, which wraps them differently for each kind of write. */
function nestedData(kind: string, nested: unknown): Arguments[] {
  return asList(nested).flatMap((write) => {
    if (kind === 'create') return [write]
    if (kind === 'upsert') return [...asList(write.create), ...asList(write.update)]
    return 'data' in write ? asList(write.data) : [write]
  })
}

function asList(value: unknown): Arguments[] {
  return (Array.isArray(value) ? value : [value]).filter((item) => typeof item === 'object' && item !== null)
}

function requireOwnTenant(named: unknown, model: ModelFacts, tenantId: string): void {
  if (named === undefined || (typeof named === 'string' && named.toLowerCase() === tenantId)) return
  throw new AppError('INTERNAL', `${model.name}: statement names another tenant than the one in scope`)
}

function compositeKeys(where: Arguments, model: ModelFacts): Arguments[] {
  return Object.entries(where)
    .filter(([name, value]) => isCompositeKey(name, model) && typeof value === 'object' && value !== null)
    .map(([, value]) => value)
}

function isCompositeKey(name: string, model: ModelFacts): boolean {
  return !model.columns.has(name) && !model.relations.has(name) && !LOGICAL.has(name)
}

const LOGICAL = new Set(['AND', 'OR', 'NOT'])
