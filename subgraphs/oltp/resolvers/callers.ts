import { requireService, requireUser } from '#platform/caller/caller.ts'
import type { Context } from '../context.ts'

/** The request's context once a tenant's user is known to ask. */
export function asUser(context: Context): Context {
  requireUser(context.caller)
  return context
}

/** The request's context once a tenant's user who may change things is known to ask: anyone but a viewer. */
export function asEditor(context: Context): Context {
  requireUser(context.caller, 'owner', 'admin', 'manager', 'employee')
  return context
}

/** The request's context once a tenant's user who may change settings is known to ask. */
export function asManager(context: Context): Context {
  requireUser(context.caller, 'owner', 'admin', 'manager')
  return context
}

/** Whether a tenant's user who may change settings asks. */
export function isManager({ caller: { kind, roles } }: Context): boolean {
  return kind === 'user' && ['owner', 'admin', 'manager'].some((role) => roles.includes(role))
}

/** The request's context once one of our own processes is known to ask. */
export function asService(context: Context): Context {
  requireService(context.caller)
  return context
}
