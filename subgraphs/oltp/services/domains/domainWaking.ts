import { now } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { wakeCampaigns } from '../sending/agenda.ts'

const FIND_SENDING = `
  SELECT c.id FROM campaigns c JOIN domains d ON d.tenant_id = c.tenant_id AND d.company_id = c.company_id
  WHERE c.tenant_id = $1 AND d.id = $2 AND c.status = 'sending' AND c.deleted_at IS NULL`

/** Has the campaigns that may write from a domain be planned anew, at the end of the transaction: it, or a mailbox of it, can do more. */
export async function wakeCampaignsOfDomain(tx: Queryable, domainId: string): Promise<void> {
  const { rows } = await tx.query<{ id: string }>(FIND_SENDING, [currentTenant(), domainId])
  wakeCampaigns(
    tx,
    rows.map(({ id }) => id),
    now(),
  )
}
