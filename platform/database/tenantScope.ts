import { AsyncLocalStorage } from 'node:async_hooks'
import { AppError } from '../errors.ts'

/** The reserved tenant of platform jobs, facts and audit rows; no client token can name it. */
export const PLATFORM_TENANT = '00000000-0000-0000-0000-000000000000'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const scope = new AsyncLocalStorage<string>()

/**
 * Runs `work` as one tenant: every statement of the tenant clients below it sees that tenant's rows only.
 * `work` is awaited inside the scope because Prisma's promises are lazy: they query when awaited, not when made.
 * @throws AppError INTERNAL when `tenantId` is not a UUID: it becomes part of SQL text
 */
export function runAsTenant<Result>(tenantId: string, work: () => PromiseLike<Result> | Result): Promise<Result> {
  if (!isTenantId(tenantId)) return Promise.reject(new AppError('INTERNAL', 'tenant id is not a UUID'))
  return scope.run(tenantId.toLowerCase(), settle<Result>, work)
}

async function settle<Result>(work: () => PromiseLike<Result> | Result): Promise<Result> {
  return await work()
}

/**
 * The tenant in scope, a lower-case UUID.
 * @throws AppError INTERNAL outside `runAsTenant`: a missing tenant is a fault, never an empty answer
 */
export function currentTenant(): string {
  const tenantId = scope.getStore()
  if (tenantId === undefined) throw new AppError('INTERNAL', 'no tenant in scope')
  return tenantId
}

/** The tenant in scope, or null outside `runAsTenant`. */
export function findCurrentTenant(): string | null {
  return scope.getStore() ?? null
}

/** `work` for later, as the tenant in scope now; without one, as whoever calls it. */
export function keepTenant<Result>(work: () => Promise<Result>): () => Promise<Result> {
  const tenantId = scope.getStore()
  return tenantId === undefined ? work : () => runAsTenant(tenantId, work)
}

/** Whether a value may name a tenant. */
export function isTenantId(value: unknown): value is string {
  return typeof value === 'string' && UUID.test(value)
}
