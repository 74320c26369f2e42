import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { appendOutbox } from '#platform/outbox/append.ts'
import { makeEmailEvent } from '../mailFlow/emailEvents.ts'
import { holdLeads } from '../sending/holdLeads.ts'
import { lockTracked, updateTracked } from '../trackingEvents/trackedMessages.ts'

const LAST_CAMPAIGN_MAIL = `
  SELECT id FROM inbox_message_refs
  WHERE tenant_id = $1 AND lead_id = $2 AND direction = 'outbound' AND campaign_id IS NOT NULL AND sent_at IS NOT NULL
  ORDER BY created_at DESC, id DESC LIMIT 1`

/**
 * Announces that a lead unsubscribes, as its link does: of the last campaign mail that it got, since a fact belongs to a
 * mail. One that has unsubscribed before, or got none, is told of no more. Holds all that suppressing the lead changes, in
 * the order in which sending takes it: call it first.
 */
export async function announceUnsubscribed(
  tx: Queryable,
  { leadId, at, requestId }: { leadId: string; at: Date; requestId: string },
): Promise<void> {
  const text = { name: 'last_campaign_mail', text: LAST_CAMPAIGN_MAIL }
  const { rows } = await tx.query<{ id: string }>(text, [currentTenant(), leadId])
  const messageIds = rows.map(({ id }) => id)
  await holdLeads(tx, { leadIds: [leadId], messageIds })
  const [message] = (await lockTracked(tx, messageIds, { withLeads: false })).values()
  if (!message || message.unsubscribedAt || message.lead?.unsubscribedAt) return
  const { mailbox, timezone, ...before } = message
  const after = { ...before, unsubscribedAt: at, version: message.version + 1 }
  await updateTracked(tx, [{ ...after, mailbox, timezone }])
  await appendOutbox(tx, [
    makeEmailEvent({ eventType: 'unsubscribed', at, message: after, mailbox, timezone, requestId }),
  ])
}
