import { type Caller, requireStaff } from '#platform/caller/caller.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { PLATFORM_TENANT } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { audit } from '#platform/outbox/announce.ts'
import type { PrismaClient } from '#prisma/queue'
import type { ReadContext } from '../context.ts'

/** What staff were let to read in one request, each recorded once. */
export type StaffReads = Map<string, Promise<unknown>>

type Models = Pick<PrismaClient, 'job' | 'deadLetterJob' | 'scheduledJob'>

/** Whose rows a request may read, and through which client. */
export type Reader = {
  /** Null: every tenant's, for staff. */
  tenantId: string | null
  prisma: Models
  sql: Queryable
}

/**
 * Tenants read their own rows through the scoped client. Staff read all through the system client, and that they do is
 * recorded first.
 * @throws AppError FORBIDDEN for a service that speaks for no tenant
 */
export async function openReader(context: ReadContext, resourceType: string): Promise<Reader> {
  const { caller, db } = context
  if (caller.tenantId !== null) return { tenantId: caller.tenantId, prisma: db.tenant, sql: db.tenantSql }
  if (caller.kind !== 'staff') throw new AppError('FORBIDDEN', 'a service reads on behalf of a tenant')
  await recordStaffRead(context, resourceType)
  return { tenantId: null, prisma: db.system, sql: db.systemSql as unknown as Queryable }
}

/**
 * Lets staff pass, recording once per request and kind of thing that they read it.
 * @throws AppError FORBIDDEN for anyone else
 */
export async function recordStaffRead(context: ReadContext, resourceType: string): Promise<void> {
  const { userId, roles } = requireStaff(context.caller)
  let record = context.staffReads.get(resourceType)
  if (!record) {
    record = audit(context.db.systemSql, {
      tenantId: PLATFORM_TENANT,
      correlationId: context.requestId,
      adminUserId: userId,
      action: 'staff.read',
      resourceType,
      resourceId: '*',
      notes: `as ${roles.join(', ')}`,
    })
    context.staffReads.set(resourceType, record)
  }
  await record
}

/**
 * The one tenant a filter names, for staff.
 * @throws AppError FORBIDDEN for a tenant's user: the tenant comes from the token, never from an argument
 */
export function tenantOfFilter(caller: Caller, tenantId: string | null | undefined): string | undefined {
  if (tenantId == null) return undefined
  if (caller.kind !== 'staff') throw new AppError('FORBIDDEN', 'filter.tenantId: is for staff')
  return tenantId
}
