import { now } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import type { MessageRow } from '../rows.ts'
import type { Mailbox } from './emailEvents.ts'

/** The message that another one answers. */
export type AnsweredMessage = Pick<
  MessageRow,
  | 'tenantId'
  | 'id'
  | 'threadId'
  | 'emailAccountId'
  | 'campaignId'
  | 'stepId'
  | 'leadId'
  | 'enrollmentId'
  | 'direction'
  | 'toEmail'
  | 'status'
  | 'version'
> & { mailbox: Mailbox }

/** Where an inbound mail belongs. */
export type Placement = {
  mailbox: Mailbox
  answered: AnsweredMessage | null
  /**
   * The campaign's mail that it is an answer to: the answered one, else the last one of that thread, else, where nothing
   * says what it answers, the last one that the mailbox wrote to its sender within 30 days.
   */
  campaignMail: AnsweredMessage | null
  /** The lead that its sender is. */
  senderLeadId: string | null
  /** Whether its sender is one of the tenant's own mailboxes. */
  isOwnSender: boolean
  /** The message that it already is in this mailbox. */
  knownMessageId: string | null
}

export type PlacementQuery = {
  /** The mailbox asked for; else the first of the recipients', else the tenant's default one. */
  emailAccountId: string | null
  toEmails: readonly string[]
  fromEmail: string | null
  answeredIds: readonly string[]
  /** Messages of ours that it answers, whatever their Message-IDs became. */
  answeredRefIds: readonly string[]
  dedupKey: string
  /** Whether it may be an answer though nothing in it says to what: not what machines write, or what goes to many. */
  mayAnswerAny: boolean
}

/** Columns of a mailbox `a` and of what it belongs to; for a FROM that has `email_accounts a`. */
export const MAILBOX = `
  a.id, a.domain_id AS "domainId",
  (SELECT d.company_id FROM domains d WHERE d.tenant_id = a.tenant_id AND d.id = a.domain_id) AS "companyId",
  (SELECT i.smtp_ip_address_id FROM domain_ip_assignments i
   WHERE i.tenant_id = a.tenant_id AND i.domain_id = a.domain_id AND i.status IN ('active', 'warming')
   ORDER BY i.assigned_at DESC, i.id DESC LIMIT 1) AS "smtpIpAddressId"`

/** Columns of a message `r`, for those who answer it. */
const MESSAGE = `
  r.tenant_id AS "tenantId", r.id, r.thread_id AS "threadId", r.email_account_id AS "emailAccountId",
  r.campaign_id AS "campaignId", r.step_id AS "stepId", r.lead_id AS "leadId", r.enrollment_id AS "enrollmentId",
  r.direction, r.to_email AS "toEmail", r.status, r.version,
  (SELECT to_jsonb(box) FROM (SELECT ${MAILBOX} FROM email_accounts a
   WHERE a.tenant_id = r.tenant_id AND a.id = r.email_account_id) box) AS mailbox`

const HAS_MAILBOX = `
  SELECT t.timezone, EXISTS (
    SELECT FROM email_accounts a
    WHERE a.tenant_id = $1 AND a.deleted_at IS NULL AND ($2::uuid IS NULL OR a.id = $2)) AS "hasMailbox"
  FROM tenants t WHERE t.id = $1 AND t.deleted_at IS NULL`

// Four ways to a mailbox, each one look into an index; a tenant whose mailboxes are all paused still gets its mail.
const FIND_PLACEMENT = `
  WITH choice AS (
    (SELECT 1 AS rank, id FROM email_accounts WHERE tenant_id = $1 AND id = $2::uuid AND deleted_at IS NULL)
    UNION ALL
    (SELECT 2, id FROM email_accounts
     WHERE tenant_id = $1 AND $2::uuid IS NULL AND email = ANY($3::text[]) AND deleted_at IS NULL
     ORDER BY array_position($3::text[], email) LIMIT 1)
    UNION ALL
    (SELECT 3, id FROM email_accounts
     WHERE tenant_id = $1 AND $2::uuid IS NULL AND status = 'active' AND deleted_at IS NULL
     ORDER BY created_at, id LIMIT 1)
    UNION ALL
    (SELECT 4, id FROM email_accounts WHERE tenant_id = $1 AND $2::uuid IS NULL AND deleted_at IS NULL
     ORDER BY created_at, id LIMIT 1)
  ), mailbox AS (
    SELECT ${MAILBOX} FROM email_accounts a
    WHERE a.tenant_id = $1 AND a.id = (SELECT id FROM choice ORDER BY rank LIMIT 1)
  ), sender AS (
    SELECT l.id FROM leads l WHERE l.tenant_id = $1 AND l.email = $4 AND l.deleted_at IS NULL
  ), answered AS (
    SELECT r.id, r.thread_id, r.direction, r.campaign_id FROM inbox_message_refs r
    WHERE r.tenant_id = $1 AND (r.rfc822_message_id = ANY($5::text[]) OR (r.id = ANY($7::uuid[]) AND r.direction = 'outbound'))
    ORDER BY array_position($5::text[], r.rfc822_message_id), r.direction DESC, r.created_at, r.id LIMIT 1
  ), campaign_mail AS (
    SELECT id FROM answered WHERE direction = 'outbound' AND campaign_id IS NOT NULL
    UNION ALL
    (SELECT r.id FROM inbox_message_refs r
     WHERE r.tenant_id = $1 AND r.thread_id = (SELECT thread_id FROM answered) AND r.direction = 'outbound'
       AND r.campaign_id IS NOT NULL AND r.status NOT IN ('queued', 'failed')
     ORDER BY r.created_at DESC, r.id DESC LIMIT 1)
    UNION ALL
    (SELECT r.id FROM inbox_message_refs r, mailbox
     WHERE $8 AND NOT EXISTS (SELECT FROM answered) AND r.tenant_id = $1 AND r.lead_id = (SELECT id FROM sender)
       AND r.email_account_id = mailbox.id AND r.direction = 'outbound' AND r.campaign_id IS NOT NULL
       AND r.status NOT IN ('queued', 'failed') AND r.created_at > $9::timestamptz - interval '30 days'
     ORDER BY r.created_at DESC, r.id DESC LIMIT 1)
    LIMIT 1
  )
  SELECT to_jsonb(mailbox) AS mailbox,
         (SELECT to_jsonb(m) FROM (SELECT ${MESSAGE} FROM answered JOIN inbox_message_refs r
          ON r.tenant_id = $1 AND r.id = answered.id) m) AS answered,
         (SELECT to_jsonb(m) FROM (SELECT ${MESSAGE} FROM campaign_mail JOIN inbox_message_refs r
          ON r.tenant_id = $1 AND r.id = campaign_mail.id) m) AS "campaignMail",
         (SELECT id FROM sender) AS "senderLeadId",
         EXISTS (SELECT FROM email_accounts a
                 WHERE a.tenant_id = $1 AND a.email = $4 AND a.deleted_at IS NULL) AS "isOwnSender",
         (SELECT r.id FROM inbox_message_refs r
          WHERE r.tenant_id = $1 AND r.email_account_id = mailbox.id AND r.dedup_key = $6) AS "knownMessageId"
  FROM mailbox`

/** The timezone of the tenant in scope and whether it has a mailbox (this one); null for an unknown tenant. */
export async function findReadiness(sql: Queryable, emailAccountId: string | null) {
  const values = [currentTenant(), emailAccountId]
  const { rows } = await sql.query<{ timezone: string; hasMailbox: boolean }>(
    { name: 'mail_readiness', text: HAS_MAILBOX },
    values,
  )
  return rows[0] ?? null
}

/** Where a mail belongs, in one statement; null when there is no mailbox for it. */
export async function findPlacement(sql: Queryable, query: PlacementQuery): Promise<Placement | null> {
  const { emailAccountId, toEmails, fromEmail, answeredIds, answeredRefIds, dedupKey, mayAnswerAny } = query
  const asked = [emailAccountId, toEmails, fromEmail, answeredIds, dedupKey, answeredRefIds, mayAnswerAny]
  const values = [currentTenant(), ...asked, now()]
  const { rows } = await sql.query<Placement>({ name: 'mail_placement', text: FIND_PLACEMENT }, values)
  return rows[0] ?? null
}

/** Mailboxes of the tenant in scope by id; unknown ones are left out. */
export async function findMailboxes(sql: Queryable, ids: readonly string[]): Promise<Map<string, Mailbox>> {
  const text = `SELECT ${MAILBOX} FROM email_accounts a WHERE a.tenant_id = $1 AND a.id = ANY($2::uuid[]) AND a.deleted_at IS NULL`
  const { rows } = await sql.query<Mailbox>({ name: 'mail_mailboxes', text }, [currentTenant(), ids])
  return new Map(rows.map((mailbox) => [mailbox.id, mailbox]))
}
