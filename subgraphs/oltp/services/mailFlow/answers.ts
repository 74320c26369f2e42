import type { Queryable } from '#platform/database/tenantPool.ts'
import type { OutboxEventInput } from '#platform/outbox/append.ts'
import type { MessageRow } from '../rows.ts'
import { type EventMessage, makeEmailEvent } from './emailEvents.ts'
import type { AnsweredMessage } from './placement.ts'

const MARK_REPLIED = `
  UPDATE inbox_message_refs
  SET status = CASE WHEN status IN ('sent', 'delivered', 'opened') THEN 'replied' ELSE status END,
      replied_at = coalesce(replied_at, $3), version = version + 1
  WHERE tenant_id = $1 AND id = $2 RETURNING version`

// A mail bounces once, however many reports come back.
const MARK_BOUNCED = `
  UPDATE inbox_message_refs SET status = 'bounced', bounced_at = $3, bounce_type = $4, version = version + 1
  WHERE tenant_id = $1 AND id = $2 AND bounced_at IS NULL RETURNING version`

/**
 * What an inbound mail means for the outbound one that it answers: a reply to a campaign's mail, or its bounce. Marks
 * the outbound one in the transaction and answers the event to announce; null when it means nothing.
 */
export async function markAnswered(
  tx: Queryable,
  inbound: MessageRow,
  answered: AnsweredMessage,
  { bounceType, timezone, requestId }: { bounceType: 'hard' | 'soft'; timezone: string; requestId: string },
): Promise<OutboxEventInput | null> {
  if (answered.direction !== 'outbound') return null
  const at = inbound.createdAt
  const about = (version: number) => ({ at, message: withVersion(answered, version), timezone, requestId })

  if (inbound.messageType === 'bounce') {
    const values = [answered.tenantId, answered.id, at, bounceType]
    const { rows } = await tx.query<{ version: number }>(MARK_BOUNCED, values)
    const [marked] = rows
    if (!marked) return null
    return makeEmailEvent({ eventType: 'bounced', bounceType, mailbox: answered.mailbox, ...about(marked.version) })
  }
  if (inbound.messageType === 'email' && answered.campaignId !== null) {
    const { rows } = await tx.query<{ version: number }>(MARK_REPLIED, [answered.tenantId, answered.id, at])
    const [marked] = rows
    if (!marked) return null
    return makeEmailEvent({ eventType: 'replied', mailbox: answered.mailbox, ...about(marked.version) })
  }
  return null
}

function withVersion(message: EventMessage, version: number): EventMessage {
  return { ...message, version }
}
