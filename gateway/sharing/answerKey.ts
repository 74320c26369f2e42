import { createHash } from 'node:crypto'
import type { CachePolicy } from '../execution/cachePolicy.ts'
import type { GatewayContext } from '../tiers/context.ts'

type Asker = GatewayContext['caller']

/** By what one user's answer to an operation is known: nobody else's answer has the same. */
export function keyOfOwn(operationId: string, variables: unknown, caller: Asker): string {
  return keyOf(operationId, variables, caller, caller.userId)
}

/**
 * By what an answer is kept: the operation, its variables, the tenant and the roles; the user too where the schema says
 * PRIVATE, and for staff, who have no tenant.
 */
export function keyOfKept(operationId: string, variables: unknown, caller: Asker, { scope }: CachePolicy): string {
  const isShared = scope === 'PUBLIC' && caller.tenantId !== null
  return keyOf(operationId, variables, caller, isShared ? null : caller.userId)
}

/** A hash of JSON, in which every part has its place: none can pass for another. */
function keyOf(
  operationId: string,
  variables: unknown,
  { kind, tenantId, roles }: Asker,
  userId: string | null,
): string {
  const parts = [operationId, kind, tenantId, userId, [...roles].sort(), variables]
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url')
}
