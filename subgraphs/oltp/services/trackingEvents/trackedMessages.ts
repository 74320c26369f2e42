import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import type { Mailbox } from '../mailFlow/emailEvents.ts'
import type { MessageRow } from '../rows.ts'
import { holdLeads } from '../sending/holdLeads.ts'

/** A mail that went out, as far as its tracking goes. */
export type TrackedMessage = Pick<
  MessageRow,
  | 'tenantId'
  | 'id'
  | 'campaignId'
  | 'stepId'
  | 'leadId'
  | 'toEmail'
  | 'status'
  | 'sentAt'
  | 'deliveredAt'
  | 'openedAt'
  | 'humanOpenedAt'
  | 'clickedAt'
  | 'unsubscribedAt'
  | 'version'
> & { lead: { email: string; unsubscribedAt: Date | null } | null; mailbox: Mailbox; timezone: string }

// Locked in the order of their ids, as whoever else changes several mails does. Its mailbox may be gone by now, and its
// address is the one it left from.
const LOCK = `
  SELECT r.tenant_id AS "tenantId", r.id, r.campaign_id AS "campaignId",
         r.step_id AS "stepId", r.lead_id AS "leadId", r.to_email AS "toEmail", r.status, r.sent_at AS "sentAt",
         r.delivered_at AS "deliveredAt", r.opened_at AS "openedAt", r.human_opened_at AS "humanOpenedAt",
         r.clicked_at AS "clickedAt", r.unsubscribed_at AS "unsubscribedAt", r.version,
         l.email AS "leadEmail", l.unsubscribed_at AS "leadUnsubscribedAt",
         a.id AS "mailboxId", a.domain_id AS "domainId", d.company_id AS "companyId", t.timezone,
         coalesce(r.smtp_ip_address_id, (
           SELECT i.smtp_ip_address_id FROM domain_ip_assignments i
           WHERE i.tenant_id = r.tenant_id AND i.domain_id = a.domain_id AND i.status IN ('active', 'warming')
           ORDER BY i.assigned_at DESC, i.id DESC LIMIT 1)) AS "smtpIpAddressId"
  FROM inbox_message_refs r
  JOIN tenants t ON t.id = r.tenant_id
  JOIN email_accounts a ON a.tenant_id = r.tenant_id AND a.id = r.email_account_id
  JOIN domains d ON d.tenant_id = a.tenant_id AND d.id = a.domain_id
  LEFT JOIN leads l ON l.tenant_id = r.tenant_id AND l.id = r.lead_id
  WHERE r.tenant_id = $1 AND r.id = ANY($2::uuid[]) AND r.direction = 'outbound'
  ORDER BY r.id FOR NO KEY UPDATE OF r`

// A mail that bounced or was answered stays so.
const UPDATE = `
  UPDATE inbox_message_refs r
  SET status = CASE WHEN c."isOpened" AND r.status IN ('sent', 'delivered') THEN 'opened' ELSE r.status END,
      opened_at = c."openedAt", human_opened_at = c."humanOpenedAt", clicked_at = c."clickedAt",
      unsubscribed_at = c."unsubscribedAt", version = c.version
  FROM jsonb_to_recordset($2::jsonb) AS c(id uuid, "isOpened" boolean, "openedAt" timestamptz(3),
    "humanOpenedAt" timestamptz(3), "clickedAt" timestamptz(3), "unsubscribedAt" timestamptz(3), version int)
  WHERE r.tenant_id = $1 AND r.id = c.id`

type Row = Omit<TrackedMessage, 'lead' | 'mailbox'> &
  Omit<Mailbox, 'id'> & { mailboxId: string; leadEmail: string | null; leadUnsubscribedAt: Date | null }

const LEADS = 'SELECT DISTINCT lead_id AS id FROM inbox_message_refs WHERE tenant_id = $1 AND id = ANY($2::uuid[])'

/**
 * Mails of the tenant in scope by id, locked until the transaction ends; unknown ones are left out. With their leads when
 * those may unsubscribe: taken first, so that what is read of them is what counts.
 */
export async function lockTracked(
  tx: Queryable,
  ids: readonly string[],
  { withLeads }: { withLeads: boolean },
): Promise<Map<string, TrackedMessage>> {
  if (withLeads) {
    const { rows } = await tx.query<{ id: string | null }>({ name: 'tracking_leads', text: LEADS }, [
      currentTenant(),
      ids,
    ])
    await holdLeads(tx, { messageIds: ids, leadIds: rows.flatMap(({ id }) => id ?? []) })
  }
  const { rows } = await tx.query<Row>({ name: 'tracking_lock', text: LOCK }, [currentTenant(), ids])
  return new Map(
    rows.map(({ leadEmail, leadUnsubscribedAt, mailboxId, domainId, companyId, smtpIpAddressId, ...row }) => {
      const lead = leadEmail === null ? null : { email: leadEmail, unsubscribedAt: leadUnsubscribedAt }
      return [row.id, { ...row, lead, mailbox: { id: mailboxId, domainId, companyId, smtpIpAddressId } }]
    }),
  )
}

/** Writes what tracking found out about mails of the tenant in scope. */
export async function updateTracked(tx: Queryable, messages: readonly TrackedMessage[]): Promise<void> {
  if (messages.length === 0) return
  const changes = messages.map(({ id, openedAt, humanOpenedAt, clickedAt, unsubscribedAt, version }) => {
    const isOpened = humanOpenedAt !== null || clickedAt !== null
    return { id, isOpened, openedAt, humanOpenedAt, clickedAt, unsubscribedAt, version }
  })
  await tx.query({ name: 'tracking_update', text: UPDATE }, [currentTenant(), JSON.stringify(changes)])
}
