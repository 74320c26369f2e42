import type { SettleDeliveredPayload } from '#graphql/oltp'
import { now } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant, runAsTenant } from '#platform/database/tenantScope.ts'
import { appendOutbox } from '#platform/outbox/append.ts'
import type { Context } from '../../context.ts'
import { type EventMessage, type Mailbox, makeEmailEvent } from './emailEvents.ts'
import { MAILBOX } from './placement.ts'

/**
 * That a server took a mail is no proof that it arrived: refusals come back as mail. Nearly all of them come within
 * minutes; what has not come back after so many hours of business time counts as delivered.
 */
export const DELIVERED_AFTER_HOURS = 6

const MAILS_OF_A_TENANT = 500
const TENANTS_OF_A_CALL = 200

// One look into the index for each tenant: the LIMIT keeps it from becoming a join of all tenants' mail.
const FIND_TENANTS = `
  SELECT t.id FROM tenants t CROSS JOIN LATERAL (
    SELECT FROM inbox_message_refs r
    WHERE r.tenant_id = t.id AND r.sent_at <= $1 AND r.delivered_at IS NULL AND r.bounced_at IS NULL LIMIT 1) AS due
  WHERE t.deleted_at IS NULL ORDER BY t.id LIMIT $2`

// Those that a report is just being written for are left for the next time.
const SETTLE = `
  WITH due AS (
    SELECT r.id FROM inbox_message_refs r
    WHERE r.tenant_id = $1 AND r.sent_at <= $2 AND r.delivered_at IS NULL AND r.bounced_at IS NULL
    ORDER BY r.sent_at LIMIT $4 FOR UPDATE SKIP LOCKED
  ), settled AS (
    UPDATE inbox_message_refs r
    SET delivered_at = $3, status = CASE r.status WHEN 'sent' THEN 'delivered' ELSE r.status END, version = r.version + 1
    FROM due WHERE r.tenant_id = $1 AND r.id = due.id AND r.delivered_at IS NULL AND r.bounced_at IS NULL
    RETURNING r.tenant_id, r.id, r.campaign_id, r.step_id, r.lead_id, r.version, r.email_account_id, r.smtp_ip_address_id
  )
  SELECT s.tenant_id AS "tenantId", s.id, s.campaign_id AS "campaignId", s.step_id AS "stepId", s.lead_id AS "leadId",
    s.version, t.timezone, s.smtp_ip_address_id AS "sentFromId",
    (SELECT to_jsonb(box) FROM (SELECT ${MAILBOX} FROM email_accounts a
     WHERE a.tenant_id = s.tenant_id AND a.id = s.email_account_id) box) AS mailbox
  FROM settled s JOIN tenants t ON t.id = s.tenant_id`

type Settled = EventMessage & { mailbox: Mailbox; timezone: string; sentFromId: string | null }

/**
 * Mails of all tenants that left long enough ago and did not come back are delivered from now on, and announced as such,
 * each once: 500 of a tenant and 200 tenants a call, two statements a tenant.
 */
export async function settleDelivered(context: Context): Promise<SettleDeliveredPayload> {
  const { db, relay, requestId } = context
  const at = now()
  const before = new Date(at.getTime() - DELIVERED_AFTER_HOURS * 3_600_000)
  const { rows: tenants } = await db.systemSql.query<{ id: string }>(FIND_TENANTS, [before, TENANTS_OF_A_CALL])
  let settled = 0
  let hasMore = tenants.length === TENANTS_OF_A_CALL
  for (const { id } of tenants) {
    const count = await runAsTenant(id, () =>
      db.tenantSql.transaction((tx) => settleForTenant(tx, { before, at, requestId }), { retries: 2 }),
    )
    settled += count
    hasMore ||= count === MAILS_OF_A_TENANT
  }
  relay.wake()
  return { settled, hasMore }
}

async function settleForTenant(
  tx: Queryable,
  { before, at, requestId }: { before: Date; at: Date; requestId: string },
): Promise<number> {
  const values = [currentTenant(), before, at, MAILS_OF_A_TENANT]
  const { rows } = await tx.query<Settled>({ name: 'settle_delivered', text: SETTLE }, values)
  const events = rows.map(({ mailbox, timezone, sentFromId, ...message }) => {
    const from = { ...mailbox, smtpIpAddressId: sentFromId ?? mailbox.smtpIpAddressId }
    return makeEmailEvent({ eventType: 'delivered', at, message, mailbox: from, timezone, requestId })
  })
  await appendOutbox(tx, events)
  return rows.length
}
