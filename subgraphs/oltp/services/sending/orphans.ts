import { currentTenant } from '#platform/database/tenantScope.ts'
import type { Context } from '../../context.ts'
import type { CampaignFacts } from './campaignFacts.ts'
import { MAILBOX_DELETED } from './decideSend.ts'
import { failQueued } from './failQueued.ts'
import { planAgain } from './planAgain.ts'
import { transact } from './transact.ts'

const FIND = `
  SELECT DISTINCT a.id FROM inbox_message_refs r
  JOIN email_accounts a ON a.tenant_id = r.tenant_id AND a.id = r.email_account_id AND a.deleted_at IS NOT NULL
  WHERE r.tenant_id = $1 AND r.campaign_id = $2 AND r.status = 'queued' AND r.queued_at IS NULL`

/**
 * Has mail of a campaign that waits for mailboxes which are deleted by now be planned again, from others. Whoever deletes
 * one does so already; here is what came back to it later.
 */
export async function planOrphansAgain(context: Context, campaign: CampaignFacts, at: Date): Promise<void> {
  const { tenantSql } = context.db
  const statement = { name: 'find_orphans', text: FIND }
  const { rows } = await tenantSql.query<{ id: string }>(statement, [currentTenant(), campaign.id])
  if (rows.length === 0) return
  const ids = rows.map(({ id }) => id).sort()
  await transact(
    context,
    async (tx) => planAgain(tx, await failQueued(tx, 'mailbox', { ids, reason: MAILBOX_DELETED, at }), at),
    { retries: 3 },
  )
}
