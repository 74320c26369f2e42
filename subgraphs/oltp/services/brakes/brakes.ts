import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { audit } from '#platform/outbox/announce.ts'
import { setPlanTime } from '../sending/agenda.ts'
import { notifyOwners } from '../sending/notifyOwners.ts'
import {
  type Brake,
  CAMPAIGN_HARD_BOUNCES,
  judgeCampaign,
  judgeMailbox,
  type MailboxFigures,
  MINIMUM_SENT,
} from './brakeRules.ts'

/** Mailboxes and campaigns that a brake may stop, held by the transaction. */
export type HeldBrakes = { mailboxIds: string[]; campaignIds: string[] }

// Locked before they are measured, so that of two transactions with a bounce each the second one sees both.
const LOCK_MAILBOXES = `
  SELECT id, status FROM email_accounts WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND deleted_at IS NULL
  ORDER BY id FOR NO KEY UPDATE`
const LOCK_CAMPAIGNS = `
  SELECT id, status FROM campaigns WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND deleted_at IS NULL AND status = 'sending'
  ORDER BY id FOR NO KEY UPDATE`

const lately = (column: string, condition = 'true') => `(
  SELECT count(*)::int FROM inbox_message_refs r
  WHERE r.tenant_id = $1 AND r.email_account_id = a.id AND r.${column} > since.at AND r.${column} <= $3 AND ${condition})`

// Mail of before a person let it go on counts no more, whenever it comes back. Mail counts among the sent also when it was
// sent earlier and came back only now, or was refused on the way out: a share is never of others than it is about.
const AFTER_REVIEW = "coalesce(r.sent_at, r.bounced_at) > coalesce(a.reviewed_at, '-infinity')"
const MEASURE_MAILBOXES = `
  SELECT a.id, a.email AS name, a.status, ${lately('bounced_at', AFTER_REVIEW)} AS bounced,
    ${lately('sent_at')} + ${lately('bounced_at', `(r.sent_at IS NULL OR r.sent_at <= since.at) AND ${AFTER_REVIEW}`)} AS sent,
    ${lately('complained_at')} AS complained
  FROM email_accounts a,
    LATERAL (SELECT greatest($3::timestamptz - interval '24 hours', a.reviewed_at) AS at) AS since
  WHERE a.tenant_id = $1 AND a.id = ANY($2::uuid[]) ORDER BY a.id`

// Of what was sent no more is counted than is needed to know on which side of the limit ($3) the bounces are.
const MEASURE_CAMPAIGNS = `
  SELECT c.id, c.name, c.status, hard.bounced, hard.refused + (
    SELECT count(*)::int FROM (
      SELECT FROM inbox_message_refs r
      WHERE r.tenant_id = $1 AND r.campaign_id = c.id AND r.sent_at > since.at
      LIMIT greatest((hard.bounced / $3::float8)::int + 1, $4::int)) AS enough) AS sent
  FROM campaigns c, LATERAL (SELECT coalesce(c.reviewed_at, '-infinity') AS at) AS since, LATERAL (
    SELECT count(*)::int AS bounced, (count(*) FILTER (WHERE r.sent_at IS NULL))::int AS refused
    FROM inbox_message_refs r
    WHERE r.tenant_id = $1 AND r.campaign_id = c.id AND r.bounced_at > since.at AND r.bounce_type = 'hard'
      AND coalesce(r.sent_at, r.bounced_at) > since.at) AS hard
  WHERE c.tenant_id = $1 AND c.id = ANY($2::uuid[]) ORDER BY c.id`

const STOP = {
  EmailAccount:
    'UPDATE email_accounts SET status = $3, paused_reason = $4, paused_at = $5 WHERE tenant_id = $1 AND id = $2',
  Campaign: `UPDATE campaigns SET status = $3, paused_reason = $4, paused_at = $5, version = version + 1
    WHERE tenant_id = $1 AND id = $2`,
}

/** Something that a brake may stop, and what came of its mails. */
type Measured = MailboxFigures & { id: string; name: string; status: string }
type Stopped = { kind: keyof typeof STOP; row: Measured; brake: Brake }

/**
 * Holds the mailboxes and campaigns of mails that came back, or that someone complained of, until the transaction ends:
 * before anything else is, because whoever plans takes them first (see sending/README.md).
 * @param otherMailboxIds mailboxes that are to be held with them, for another reason
 */
export async function holdBrakes(
  tx: Queryable,
  messages: readonly { mailbox: { id: string }; campaignId: string | null }[],
  otherMailboxIds: readonly string[] = [],
): Promise<HeldBrakes> {
  const asked = new Set(messages.map(({ mailbox }) => mailbox.id))
  const mailboxes = await lock(tx, LOCK_MAILBOXES, [...asked, ...otherMailboxIds])
  const campaignIds = messages.flatMap(({ campaignId }) => campaignId ?? [])
  const campaigns = await lock(tx, LOCK_CAMPAIGNS, campaignIds)
  const isBraked = ({ id, status }: Locked) => asked.has(id) && ['active', 'paused'].includes(status)
  return { mailboxIds: mailboxes.filter(isBraked).map(({ id }) => id), campaignIds: campaigns.map(({ id }) => id) }
}

type Locked = { id: string; status: string }

/**
 * Stops mailboxes and campaigns of which too much comes back, in the transaction that has recorded it: each once, with
 * the reason in words, an audit entry, and a notification to the owners and admins. See brakeRules.ts for the limits.
 * @param tx of `transact`
 * @param at now, by the business clock
 */
export async function applyBrakes(
  tx: Queryable,
  { mailboxIds, campaignIds }: HeldBrakes,
  { at, requestId }: { at: Date; requestId: string },
): Promise<void> {
  const mailboxes = await measure(tx, mailboxIds, MEASURE_MAILBOXES, [at])
  const campaigns = await measure(tx, campaignIds, MEASURE_CAMPAIGNS, [CAMPAIGN_HARD_BOUNCES, MINIMUM_SENT])
  const stopped = [
    ...mailboxes.flatMap((row) => judge('EmailAccount', row, judgeMailbox(row))),
    ...campaigns.flatMap((row) => judge('Campaign', row, judgeCampaign(row))),
  ]
  for (const one of stopped) {
    const { kind, row, brake } = one
    await tx.query(STOP[kind], [currentTenant(), row.id, brake.status, brake.reason, at])
    if (kind === 'Campaign') setPlanTime(tx, row.id, null)
    await tell(tx, one, requestId)
  }
}

/** What is stopped already is stopped anew only when it gets worse. */
function judge(kind: Stopped['kind'], row: Measured, brake: Brake | null): Stopped[] {
  const isNews = brake !== null && (row.status !== 'paused' || brake.status === 'suspended')
  return isNews ? [{ kind, row, brake }] : []
}

async function lock(tx: Queryable, text: string, ids: readonly string[]): Promise<Locked[]> {
  if (ids.length === 0) return []
  return (await tx.query<Locked>(text, [currentTenant(), [...new Set(ids)]])).rows
}

async function measure(tx: Queryable, ids: readonly string[], text: string, values: unknown[]): Promise<Measured[]> {
  if (ids.length === 0) return []
  return (await tx.query<Measured>(text, [currentTenant(), ids, ...values])).rows
}

async function tell(tx: Queryable, { kind, row, brake }: Stopped, requestId: string): Promise<void> {
  const isCampaign = kind === 'Campaign'
  await audit(tx, {
    tenantId: currentTenant(),
    correlationId: requestId,
    action: `${isCampaign ? 'campaign' : 'emailAccount'}.${brake.status === 'paused' ? 'pause' : 'suspend'}`,
    resourceType: kind,
    resourceId: row.id,
    oldValues: { status: row.status },
    newValues: { status: brake.status, pausedReason: brake.reason },
    notes: 'by a brake',
  })
  await notifyOwners(tx, {
    requestId,
    type: `${isCampaign ? 'campaign' : 'mailbox'}_${brake.status}`,
    title: `${row.name} was ${brake.status}`,
    message: `${brake.reason}.`,
    priority: brake.status === 'suspended' ? 'urgent' : 'high',
    metadata: isCampaign ? { campaignId: row.id } : { emailAccountId: row.id },
  })
}
