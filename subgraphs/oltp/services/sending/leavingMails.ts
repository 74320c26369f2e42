import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import type { MessageRow } from '../rows.ts'
import { hasComplained, isAddressSuppressed, isSuppressed } from './suppressed.ts'

/** A mail of ours as sending sees it, with what decides whether it may leave. */
export type LeavingMail = Pick<
  MessageRow,
  | 'tenantId'
  | 'id'
  | 'status'
  | 'version'
  | 'emailAccountId'
  | 'campaignId'
  | 'stepId'
  | 'leadId'
  | 'enrollmentId'
  | 'smtpIpAddressId'
  | 'scheduledAt'
  | 'queuedAt'
  | 'createdAt'
  | 'acceptWindowAt'
  | 'sendAttempts'
  | 'sendingJobId'
  | 'failureReason'
  | 'fromEmail'
  | 'toEmail'
  | 'contentStorageKey'
> & {
  enrollmentStatus: string | null
  enrollmentVersion: number | null
  currentStepOrder: number | null
  enrolledAt: Date | null
  /** The lead or the address written to; null for a mail to nobody on the tenant's lists. What a person writes goes to all but those who complained. */
  isSuppressed: boolean | null
  dkimSelector: string | null
  dkimVaultKeyPath: string | null
  domainId: string
  domain: string
  /** The tenant's: where its days are counted. */
  timezone: string
  vaultKeyPath: string | null
  smtpSettings: unknown
}

const COLUMNS = `
  r.tenant_id AS "tenantId", r.id, r.status, r.version, r.email_account_id AS "emailAccountId",
  r.campaign_id AS "campaignId", r.step_id AS "stepId", r.lead_id AS "leadId", r.enrollment_id AS "enrollmentId",
  r.smtp_ip_address_id AS "smtpIpAddressId", r.scheduled_at AS "scheduledAt", r.queued_at AS "queuedAt",
  r.created_at AS "createdAt", r.accept_window_at AS "acceptWindowAt", r.send_attempts AS "sendAttempts",
  r.sending_job_id AS "sendingJobId",
  r.failure_reason AS "failureReason", r.from_email AS "fromEmail", r.to_email AS "toEmail",
  r.content_storage_key AS "contentStorageKey", e.status AS "enrollmentStatus", e.version AS "enrollmentVersion",
  e.current_step_order AS "currentStepOrder", e.created_at AS "enrolledAt",
  CASE WHEN r.campaign_id IS NULL THEN ${hasComplained('r.to_email', 'r.lead_id')}
       WHEN l.id IS NOT NULL THEN l.deleted_at IS NOT NULL OR ${isSuppressed('l', 'd.company_id')}
         OR ${isAddressSuppressed('r.to_email', 'd.company_id')} END AS "isSuppressed",
  d.dkim_selector AS "dkimSelector", d.dkim_vault_key_path AS "dkimVaultKeyPath", d.id AS "domainId", d.domain,
  (SELECT t.timezone FROM tenants t WHERE t.id = r.tenant_id) AS timezone,
  a.vault_key_path AS "vaultKeyPath", a.smtp_settings AS "smtpSettings"`

const FROM = `
  FROM inbox_message_refs r
  JOIN email_accounts a ON a.tenant_id = r.tenant_id AND a.id = r.email_account_id
  JOIN domains d ON d.tenant_id = a.tenant_id AND d.id = a.domain_id
  LEFT JOIN campaign_enrollments e ON e.tenant_id = r.tenant_id AND e.id = r.enrollment_id
  LEFT JOIN leads l ON l.tenant_id = r.tenant_id AND l.id = r.lead_id`

const FIND = `SELECT ${COLUMNS} ${FROM} WHERE r.tenant_id = $1 AND r.id = ANY($2::uuid[]) AND r.direction = 'outbound'`

/** Mails of the tenant in scope; others' and inbound ones are left out. */
export async function findLeavingMails(sql: Queryable, ids: readonly string[]): Promise<LeavingMail[]> {
  return (await sql.query<LeavingMail>({ name: 'leaving_mails', text: FIND }, [currentTenant(), ids])).rows
}

/** The same, held for this transaction, in the order of their ids. */
export async function lockLeavingMails(tx: Queryable, ids: readonly string[]): Promise<LeavingMail[]> {
  const statement = { name: 'lock_leaving_mails', text: `${FIND} ORDER BY r.id FOR NO KEY UPDATE OF r` }
  return (await tx.query<LeavingMail>(statement, [currentTenant(), ids])).rows
}
