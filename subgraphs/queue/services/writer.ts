import { type Caller, requireStaff, requireUser } from '#platform/caller/caller.ts'
import type { Context } from '../context.ts'
import { inTransaction, type Sql } from '../engine/sql.ts'

/** Who changes what: a tenant's user within the tenant, staff anywhere (`tenantId` null). */
export type Writer = {
  caller: Caller
  tenantId: string | null
  transaction: <Result>(work: (tx: Sql) => Promise<Result>) => Promise<Result>
}

/**
 * Lets a tenant's user with one of these roles change the tenant's jobs, and operators any. What they do goes to the
 * audit log of the tenant concerned, so it is written in the same transaction.
 * @throws AppError FORBIDDEN for everyone else
 */
export function openWriter({ caller, db }: Context, ...roles: string[]): Writer {
  if (caller.kind === 'staff') {
    requireStaff(caller, 'operator')
    return { caller, tenantId: null, transaction: (work) => inTransaction(db.systemSql, work) }
  }
  const { tenantId } = requireUser(caller, ...roles)
  return { caller, tenantId, transaction: (work) => db.tenantSql.transaction((tx) => work(tx)) }
}

/** Who did it, for the audit log. */
export function actorOf({ caller }: Writer) {
  return { adminUserId: caller.userId, correlationId: caller.requestId }
}
