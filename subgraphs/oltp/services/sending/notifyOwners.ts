import type { NotificationPayload } from '#platform/contracts/notification.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { notify } from '#platform/outbox/announce.ts'

const OWNERS = `
  SELECT user_id AS id FROM tenant_users
  WHERE tenant_id = $1 AND deleted_at IS NULL AND roles && ARRAY['owner', 'admin'] ORDER BY user_id LIMIT 20`

/** Tells the tenant's owners and admins something, if the caller's transaction commits. */
export async function notifyOwners(
  tx: Queryable,
  { requestId, ...notification }: Omit<NotificationPayload, 'userId'> & { requestId: string },
): Promise<void> {
  const tenantId = currentTenant()
  const { rows } = await tx.query<{ id: string }>({ name: 'tenant_owners', text: OWNERS }, [tenantId])
  for (const { id } of rows) await notify(tx, { ...notification, tenantId, userId: id, correlationId: requestId })
}
