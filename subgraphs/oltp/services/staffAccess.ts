import { requireStaff } from '#platform/caller/caller.ts'
import { PLATFORM_TENANT } from '#platform/database/tenantScope.ts'
import { audit } from '#platform/outbox/announce.ts'
import type { Context } from '../context.ts'

const recorded = new WeakMap<Context, Map<string, Promise<unknown>>>()

/**
 * Lets staff read what belongs to no tenant, and records that they did, once per request and kind of thing, before they
 * see it.
 * @throws AppError FORBIDDEN for anyone else
 */
export async function readAsStaff<Result>(
  context: Context,
  resourceType: 'VpsInstance' | 'SmtpIpAddress',
  read: () => PromiseLike<Result>,
): Promise<Result> {
  const { userId, roles } = requireStaff(context.caller)
  const known = recorded.get(context) ?? new Map<string, Promise<unknown>>()
  recorded.set(context, known)
  let record = known.get(resourceType)
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
    known.set(resourceType, record)
  }
  await record
  return await read()
}
