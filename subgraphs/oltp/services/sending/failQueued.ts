import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { localDay } from '../mailFlow/localDay.ts'
import { budgetKeys, findCampaignFacts } from './campaignFacts.ts'
import { endingOf } from './ending.ts'

/** Where a mail that will not leave was to leave from and when: what was promised for it. */
export type MailPlace = {
  id: string
  emailAccountId: string
  campaignId: string | null
  enrollmentId: string | null
  scheduledAt: Date | null
  addressId: string | null
}

/** A `MailPlace` as columns of inbox_message_refs r: for the RETURNING of a statement that fails queued mail. */
export const MAIL_PLACE = `r.id, r.email_account_id AS "emailAccountId", r.campaign_id AS "campaignId",
  r.enrollment_id AS "enrollmentId", r.scheduled_at AS "scheduledAt", r.smtp_ip_address_id AS "addressId"`

const OF = {
  campaign: 'campaign_id',
  lead: 'lead_id',
  mailbox: 'email_account_id',
  enrollment: 'enrollment_id',
} as const

const fail = (of: keyof typeof OF) => `
  WITH queued AS (
    SELECT q.id FROM inbox_message_refs q
    WHERE q.tenant_id = $1 AND q.${OF[of]} = ANY($2::uuid[]) AND q.status = 'queued' AND q.direction = 'outbound'
    ORDER BY q.id FOR NO KEY UPDATE
  )
  UPDATE inbox_message_refs r
  SET status = 'failed', failed_at = $3, failure_reason = $4, version = r.version + 1
  FROM queued WHERE r.tenant_id = $1 AND r.id = queued.id AND r.status = 'queued'
  RETURNING ${MAIL_PLACE}`

const MAILBOXES = `
  SELECT a.id, a.domain_id AS "domainId", t.timezone
  FROM email_accounts a JOIN tenants t ON t.id = a.tenant_id WHERE a.tenant_id = $1 AND a.id = ANY($2::uuid[])`

/**
 * Fails the queued mail of campaigns, leads, mailboxes or enrollments of the tenant in scope, and gives back what was
 * promised for it. Answers what was failed.
 * @param tx of `transact`
 */
export async function failQueued(
  tx: Queryable,
  of: keyof typeof OF,
  { ids, reason, at }: { ids: readonly string[]; reason: string; at: Date },
): Promise<MailPlace[]> {
  if (ids.length === 0) return []
  const statement = { name: `fail_queued_of_${of}`, text: fail(of) }
  const { rows } = await tx.query<MailPlace>(statement, [currentTenant(), ids, at, reason])
  await giveBack(tx, rows)
  return rows
}

/**
 * Gives back what was promised for mails that were queued and are failed now: to mailbox, domain, campaign and plan at
 * the end of the transaction, to their addresses after it. What belongs to no campaign was promised nothing.
 * @param tx of `transact`
 */
export async function giveBack(tx: Queryable, places: readonly MailPlace[]): Promise<void> {
  const promised = places.filter(({ campaignId }) => campaignId !== null)
  if (promised.length === 0) return
  const { budgets, addresses } = endingOf(tx)
  const campaigns = await findCampaignFacts(tx, [...new Set(promised.map(({ campaignId }) => campaignId as string))])
  const mailboxes = await findMailboxes(tx, [...new Set(promised.map(({ emailAccountId }) => emailAccountId))])
  for (const { emailAccountId, campaignId, scheduledAt, addressId } of promised) {
    const mailbox = mailboxes.get(emailAccountId)
    if (!mailbox || !scheduledAt || campaignId === null) continue
    const campaign = campaigns.get(campaignId) ?? { id: campaignId, plan: null }
    for (const key of budgetKeys(campaign, mailbox, scheduledAt)) budgets.push({ ...key, reserved: -1, sent: 0 })
    if (addressId) addresses.push({ addressId, day: localDay(scheduledAt, 'UTC'), reserved: -1, sent: 0 })
  }
}

/** Also those that are deleted: their budgets are shared with others. */
async function findMailboxes(tx: Queryable, ids: readonly string[]) {
  type Row = { id: string; domainId: string; timezone: string }
  const { rows } = await tx.query<Row>({ name: 'mailboxes_given_back', text: MAILBOXES }, [currentTenant(), ids])
  return new Map(rows.map((mailbox) => [mailbox.id, mailbox]))
}
