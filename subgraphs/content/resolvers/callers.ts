import { type Caller, requireService, requireStaff, requireUser, type TenantCaller } from '#platform/caller/caller.ts'
import { STAFF_INBOX } from '#platform/contracts/notification.ts'
import { AppError } from '#platform/errors.ts'

/**
 * Id of the user who asks, for what belongs to one person.
 * @throws AppError FORBIDDEN for a caller without one: staff, services, a token that names no user
 */
export function requireOwnUserId(caller: Caller): string {
  const { userId } = requireUser(caller)
  if (userId === null) throw new AppError('FORBIDDEN', 'this is for a user, and the token names none')
  return userId
}

/**
 * Where the caller's notifications are: a user's own, and the one inbox that staff share.
 * @throws AppError FORBIDDEN as `requireOwnUserId`
 */
export function inboxOf(caller: Caller): { tenantId: string; userId: string } {
  if (caller.kind === 'staff') {
    requireStaff(caller)
    return STAFF_INBOX
  }
  return { tenantId: requireUser(caller).tenantId, userId: requireOwnUserId(caller) }
}

/** Whether the caller is this user: what a reference from another tier names proves nothing. */
export function isOwnUser(caller: Caller, id: string | undefined): boolean {
  return caller.kind === 'user' && caller.userId !== null && caller.userId === id?.toLowerCase()
}

/** Whether the caller is a user with one of the roles; for fields that are null to everyone else. */
export function hasRole(caller: Caller, ...anyOfRoles: string[]): boolean {
  return caller.kind === 'user' && anyOfRoles.some((role) => caller.roles.includes(role))
}

/**
 * Lets another of our own processes pass that works for one tenant.
 * @throws AppError FORBIDDEN; INVALID_INPUT for one that names no tenant
 */
export function requireTenantService(caller: Caller): TenantCaller {
  const { tenantId } = requireService(caller)
  if (tenantId === null) throw new AppError('INVALID_INPUT', 'the caller must name a tenant')
  return { ...caller, tenantId }
}
