import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import type { OutboxEventInput } from '#platform/outbox/append.ts'
import { localDay } from '../mailFlow/localDay.ts'
import { endingOf } from '../sending/ending.ts'
import type { About } from './answers.ts'
import { makeEmailEvent } from './emailEvents.ts'
import type { AnsweredMessage } from './placement.ts'

const SETTLE = `
  UPDATE inbox_message_refs r
  SET status = 'sent', sent_at = r.accept_window_at, failed_at = NULL, failure_reason = NULL, version = r.version + 1
  WHERE r.tenant_id = $1 AND r.id = ANY($2::uuid[]) AND r.status = 'failed' AND r.failure_reason = 'outcome_unknown'
    AND r.sent_at IS NULL AND r.accept_window_at IS NOT NULL
  RETURNING r.id, r.version, r.sent_at AS "sentAt", r.scheduled_at AS "scheduledAt", r.smtp_ip_address_id AS "addressId"`

type Settled = { id: string; version: number; sentAt: Date; scheduledAt: Date | null; addressId: string | null }

/**
 * Mails of which nobody could know whether they had left, and of which something is heard now, have: they count as sent,
 * from when their text was given away. Before the answer is recorded, so that nothing arrives that was not sent. Answers
 * the events; one statement.
 * @param tx of `transact`
 */
export async function settleUnknown(
  tx: Queryable,
  messages: readonly AnsweredMessage[],
  about: About,
): Promise<OutboxEventInput[]> {
  if (messages.length === 0) return []
  const byId = new Map(messages.map((message) => [message.id, message]))
  const values = [currentTenant(), [...byId.keys()]]
  const { rows } = await tx.query<Settled>({ name: 'settle_unknown', text: SETTLE }, values)
  const { addresses } = endingOf(tx)
  return rows.flatMap(({ id, version, sentAt, scheduledAt, addressId }) => {
    const message = byId.get(id)
    if (!message) return []
    if (addressId) addresses.push({ addressId, day: localDay(scheduledAt ?? sentAt, 'UTC'), reserved: 0, sent: 1 })
    const mailbox = { ...message.mailbox, ...(addressId && { smtpIpAddressId: addressId }) }
    return [makeEmailEvent({ eventType: 'sent', at: sentAt, message: { ...message, version }, mailbox, ...about })]
  })
}
