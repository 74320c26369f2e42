import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'

/** A lead who says that it is not to be written to: the address it has now, and whether it has said so before. */
export type LeavingLead = { email: string; hasLeft: boolean }

const LOCK = `
  SELECT l.id, l.email, l.unsubscribed_at IS NOT NULL AS "hasLeft" FROM leads l
  WHERE l.tenant_id = $1 AND l.id = ANY($2::uuid[]) ORDER BY l.id FOR NO KEY UPDATE`

/** Leads of the tenant in scope by id, taken for this transaction: who leaves by two mails at once leaves once. */
export async function lockLeavingLeads(tx: Queryable, ids: readonly string[]): Promise<Map<string, LeavingLead>> {
  if (ids.length === 0) return new Map()
  const statement = { name: 'lock_leaving_leads', text: LOCK }
  const { rows } = await tx.query<LeavingLead & { id: string }>(statement, [currentTenant(), [...new Set(ids)]])
  return new Map(rows.map(({ id, ...lead }) => [id, lead]))
}
