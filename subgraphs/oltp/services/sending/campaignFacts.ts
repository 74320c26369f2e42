import { now } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { localDay } from '../mailFlow/localDay.ts'
import { type AgreedPeriod, periodDay, planAt } from '../plans/planPeriod.ts'
import type { TemplateText } from '../rendering/templateText.ts'
import type { BudgetKey } from './budgets.ts'
import type { AddressFacts, MailboxFacts } from './caps.ts'
import type { Step } from './steps.ts'
import { readWindow, type SendingWindow } from './window.ts'

/** What planning and sending need to know of a campaign. */
export type CampaignFacts = {
  id: string
  status: string
  companyId: string
  companyName: string
  dailyCap: number | null
  window: SendingWindow
  timezones: { campaign: string; tenant: string }
  startedAt: Date | null
  scheduledAt: Date | null
  pausedReason: string | null
  /** Mails of the tenant's plan, if it limits them, and how they are counted. */
  plan: ({ id: string; maxEmails: number } & AgreedPeriod) | null
}

/** A step with what it sends. */
export type PlannedStep = Step & {
  campaignId: string
  emailAccountId: string | null
  subjectOverride: string | null
  template: TemplateText | null
}

/** A mailbox as planning sees it. */
export type SendingMailbox = MailboxFacts & {
  id: string
  email: string
  displayName: string | null
  domainId: string
  companyId: string
  /** The tenant's: where its days are counted. */
  timezone: string
  /** Its own state and its domain's allow it to send. */
  isActive: boolean
  status: string
  pausedReason: string | null
  address: ({ id: string } & AddressFacts) | null
}

const CAMPAIGNS = `
  SELECT c.id, c.status, c.company_id AS "companyId", co.name AS "companyName", c.daily_cap AS "dailyCap",
    c.sending_window AS "sendingWindow", coalesce(c.timezone, t.timezone) AS timezone, t.timezone AS "tenantTimezone",
    c.started_at AS "startedAt", c.scheduled_at AS "scheduledAt",
    c.paused_reason AS "pausedReason", s.id AS "subscriptionId", s.period_start_at AS "periodStartAt",
    s.period_end_at AS "periodEndAt", p.max_emails_per_month AS "maxEmails"
  FROM campaigns c
  JOIN companies co ON co.tenant_id = c.tenant_id AND co.id = c.company_id
  JOIN tenants t ON t.id = c.tenant_id
  LEFT JOIN subscriptions s ON s.tenant_id = c.tenant_id AND s.status <> 'cancelled'
  LEFT JOIN plans p ON p.id = ${planAt('$3')}
  WHERE c.tenant_id = $1 AND c.id = ANY($2::uuid[]) AND c.deleted_at IS NULL AND t.deleted_at IS NULL`

const STEPS = `
  SELECT s.id, s.campaign_id AS "campaignId", s.step_order AS "stepOrder", s.step_type AS "stepType",
    s.wait_hours AS "waitHours", s.condition, s.is_active AS "isActive", s.email_account_id AS "emailAccountId",
    s.subject_override AS "subjectOverride", t.subject, t.body_text AS "bodyText", t.body_html AS "bodyHtml"
  FROM campaign_sequence_steps s
  LEFT JOIN templates t ON t.tenant_id = s.tenant_id AND t.id = s.template_id AND t.deleted_at IS NULL
  WHERE s.tenant_id = $1 AND s.campaign_id = ANY($2::uuid[]) AND s.deleted_at IS NULL
  ORDER BY s.campaign_id, s.step_order`

// The newest assignment is the one mail leaves by: while a domain moves it has two.
const mailboxesWhere = (condition: string) => `
  SELECT a.id, a.email, a.display_name AS "displayName", a.domain_id AS "domainId", d.company_id AS "companyId", a.status,
    (SELECT t.timezone FROM tenants t WHERE t.id = $1) AS timezone, a.paused_reason AS "pausedReason", a.daily_limit AS "dailyLimit", a.warmup_status AS "warmupStatus",
    a.warmup_started_at AS "warmupStartedAt", a.status = 'active' AND d.verification_status = 'verified' AS "isActive",
    CASE WHEN ip.id IS NOT NULL THEN jsonb_build_object('id', ip.id, 'status', ip.status, 'pool', ip.pool,
      'dailySafeLimit', ip.daily_safe_limit, 'warmupStartedAt', ip.warmup_started_at) END AS address
  FROM email_accounts a
  JOIN domains d ON d.tenant_id = a.tenant_id AND d.id = a.domain_id AND d.deleted_at IS NULL
  LEFT JOIN LATERAL (
    SELECT i.smtp_ip_address_id FROM domain_ip_assignments i
    WHERE i.tenant_id = a.tenant_id AND i.domain_id = a.domain_id AND i.status IN ('active', 'warming')
    ORDER BY i.assigned_at DESC, i.id DESC LIMIT 1) AS assigned ON true
  LEFT JOIN smtp_ip_addresses ip ON ip.id = assigned.smtp_ip_address_id
  WHERE a.tenant_id = $1 AND a.deleted_at IS NULL AND ${condition} ORDER BY a.id`

const MAILBOXES_OF_COMPANY = mailboxesWhere('(d.company_id = $2 OR a.id = ANY($3::uuid[]))')
const MAILBOXES_BY_ID = mailboxesWhere('a.id = ANY($2::uuid[])')

type CampaignRow = Omit<CampaignFacts, 'window' | 'timezones' | 'plan'> & {
  sendingWindow: unknown
  timezone: string
  tenantTimezone: string
  subscriptionId: string | null
  periodStartAt: Date | null
  periodEndAt: Date | null
  maxEmails: number | null
}

/** Campaigns of the tenant in scope, by id; unknown ones are left out. */
export async function findCampaignFacts(sql: Queryable, ids: readonly string[]): Promise<Map<string, CampaignFacts>> {
  if (ids.length === 0) return new Map()
  const statement = { name: 'sending_campaigns', text: CAMPAIGNS }
  const { rows } = await sql.query<CampaignRow>(statement, [currentTenant(), ids, now()])
  return new Map(rows.map((row) => [row.id, readCampaign(row)]))
}

function readCampaign(row: CampaignRow): CampaignFacts {
  const { sendingWindow, timezone, tenantTimezone, ...rest } = row
  const { subscriptionId: id, periodStartAt, periodEndAt, maxEmails, ...campaign } = rest
  return {
    ...campaign,
    window: readWindow(sendingWindow),
    timezones: { campaign: timezone, tenant: tenantTimezone },
    plan:
      id && periodStartAt && periodEndAt && maxEmails !== null ? { id, maxEmails, periodStartAt, periodEndAt } : null,
  }
}

/** The steps of campaigns of the tenant in scope, in order, by campaign. */
export async function findPlannedSteps(
  sql: Queryable,
  campaignIds: readonly string[],
): Promise<Map<string, PlannedStep[]>> {
  if (campaignIds.length === 0) return new Map()
  type Row = Omit<PlannedStep, 'template'> & {
    subject: string | null
    bodyText: string | null
    bodyHtml: string | null
  }
  const { rows } = await sql.query<Row>({ name: 'sending_steps', text: STEPS }, [currentTenant(), campaignIds])
  const byCampaign = new Map<string, PlannedStep[]>(campaignIds.map((id) => [id, []]))
  for (const { subject, bodyText, bodyHtml, ...step } of rows) {
    const template = subject === null ? null : { subject: step.subjectOverride ?? subject, bodyText, bodyHtml }
    byCampaign.get(step.campaignId)?.push({ ...step, template })
  }
  return byCampaign
}

/** The mailboxes that a workspace's campaigns may write from, and those that steps name. */
export async function findCompanyMailboxes(
  sql: Queryable,
  companyId: string,
  named: readonly string[],
): Promise<SendingMailbox[]> {
  const statement = { name: 'sending_mailboxes', text: MAILBOXES_OF_COMPANY }
  return readMailboxes(await sql.query<MailboxRow>(statement, [currentTenant(), companyId, named]))
}

/** Mailboxes of the tenant in scope by id; deleted ones are left out. */
export async function findSendingMailboxes(
  sql: Queryable,
  ids: readonly string[],
): Promise<Map<string, SendingMailbox>> {
  const statement = { name: 'sending_mailboxes_by_id', text: MAILBOXES_BY_ID }
  const mailboxes = readMailboxes(await sql.query<MailboxRow>(statement, [currentTenant(), ids]))
  return new Map(mailboxes.map((mailbox) => [mailbox.id, mailbox]))
}

type MailboxRow = Omit<SendingMailbox, 'address'> & {
  address: ({ id: string; warmupStartedAt: string | null } & Omit<AddressFacts, 'warmupStartedAt'>) | null
}

function readMailboxes({ rows }: { rows: MailboxRow[] }): SendingMailbox[] {
  return rows.map(({ address, ...mailbox }) => ({
    ...mailbox,
    address: address && {
      ...address,
      warmupStartedAt: address.warmupStartedAt === null ? null : new Date(address.warmupStartedAt),
    },
  }))
}

/** The budgets that a mail from a mailbox counts in, on the tenant's day at `at`; of no campaign only the mailbox's. */
export function budgetKeys(
  campaign: Pick<CampaignFacts, 'id' | 'plan'> | null,
  mailbox: Pick<SendingMailbox, 'id' | 'domainId' | 'timezone'>,
  at: Date,
): BudgetKey[] {
  const day = localDay(at, mailbox.timezone)
  const own: BudgetKey = { scope: 'mailbox', scopeId: mailbox.id, day }
  if (!campaign) return [own]
  return [
    own,
    { scope: 'domain', scopeId: mailbox.domainId, day },
    { scope: 'campaign', scopeId: campaign.id, day },
    ...(campaign.plan ? [planKey(campaign.plan, at)] : []),
  ]
}

/** The budget of the plan's period that the day of `at` is in. */
export function planKey(plan: NonNullable<CampaignFacts['plan']>, at: Date): BudgetKey {
  return { scope: 'plan', scopeId: plan.id, day: periodDay(plan, at) }
}
