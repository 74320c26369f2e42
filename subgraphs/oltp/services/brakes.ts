import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { audit, notify } from '#platform/outbox/announce.ts'
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
  SELECT id FROM email_accounts WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND deleted_at IS NULL
    AND status IN ('active', 'paused') ORDER BY id FOR NO KEY UPDATE`
const LOCK_CAMPAIGNS = `
  SELECT id FROM campaigns WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND deleted_at IS NULL AND status = 'sending'
  ORDER BY id FOR NO KEY UPDATE`

const lately = (column: string) => `(
  SELECT count(*)::int FROM inbox_message_refs r
  WHERE r.tenant_id = $1 AND r.email_account_id = a.id AND r.${column} > since.at AND r.${column} <= $3)`

const MEASURE_MAILBOXES = `
  SELECT a.id, a.email AS name, a.status, ${lately('sent_at')} AS sent, ${lately('bounced_at')} AS bounced,
    ${lately('complained_at')} AS complained
  FROM email_accounts a,
    LATERAL (SELECT greatest($3::timestamptz - interval '24 hours', a.reviewed_at) AS at) AS since
  WHERE a.tenant_id = $1 AND a.id = ANY($2::uuid[]) ORDER BY a.id`

// Of what was sent no more is counted than is needed to know on which side of the limit ($3) the bounces are.
const MEASURE_CAMPAIGNS = `
  SELECT c.id, c.name, c.status, hard.bounced, (
    SELECT count(*)::int FROM (
      SELECT FROM inbox_message_refs r
      WHERE r.tenant_id = $1 AND r.campaign_id = c.id AND r.sent_at > coalesce(c.reviewed_at, '-infinity')
      LIMIT greatest((hard.bounced / $3::float8)::int + 1, $4::int)) AS enough) AS sent
  FROM campaigns c, LATERAL (
    SELECT count(*)::int AS bounced FROM inbox_message_refs r
    WHERE r.tenant_id = $1 AND r.campaign_id = c.id AND r.bounced_at > coalesce(c.reviewed_at, '-infinity')
      AND r.bounce_type = 'hard') AS hard
  WHERE c.tenant_id = $1 AND c.id = ANY($2::uuid[]) ORDER BY c.id`

const STOP = {
  EmailAccount:
    'UPDATE email_accounts SET status = $3, paused_reason = $4, paused_at = $5 WHERE tenant_id = $1 AND id = $2',
  Campaign: `UPDATE campaigns SET status = $3, paused_reason = $4, paused_at = $5, next_plan_at = NULL, version = version + 1
    WHERE tenant_id = $1 AND id = $2`,
}

const FIND_RESPONSIBLE = `
  SELECT user_id AS "userId" FROM tenant_users
  WHERE tenant_id = $1 AND deleted_at IS NULL AND roles && ARRAY['owner', 'admin'] ORDER BY user_id`

/** Something that a brake may stop, and what came of its mails. */
type Measured = MailboxFigures & { id: string; name: string; status: string }
type Stopped = { kind: keyof typeof STOP; row: Measured; brake: Brake }

/**
 * Holds the mailboxes and campaigns of mails that came back, or that someone complained of, until the transaction ends:
 * before that is recorded, because whoever plans takes a campaign before its leads.
 */
export async function holdBrakes(
  tx: Queryable,
  messages: readonly { mailbox: { id: string }; campaignId: string | null }[],
): Promise<HeldBrakes> {
  if (messages.length === 0) return { mailboxIds: [], campaignIds: [] }
  const mailboxIds = messages.map(({ mailbox }) => mailbox.id)
  const campaignIds = messages.flatMap(({ campaignId }) => campaignId ?? [])
  return {
    mailboxIds: await lock(tx, LOCK_MAILBOXES, mailboxIds),
    campaignIds: await lock(tx, LOCK_CAMPAIGNS, campaignIds),
  }
}

/**
 * Stops mailboxes and campaigns of which too much comes back, in the transaction that has recorded it: each once, with
 * the reason in words, an audit entry, and a notification to the owners and admins. See brakeRules.ts for the limits.
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
  if (stopped.length === 0) return
  const { rows: responsible } = await tx.query<{ userId: string }>(FIND_RESPONSIBLE, [currentTenant()])
  for (const one of stopped) {
    const { kind, row, brake } = one
    await tx.query(STOP[kind], [currentTenant(), row.id, brake.status, brake.reason, at])
    await tell(tx, one, { responsible, requestId })
  }
}

/** What is stopped already is stopped anew only when it gets worse. */
function judge(kind: Stopped['kind'], row: Measured, brake: Brake | null): Stopped[] {
  const isNews = brake !== null && (row.status !== 'paused' || brake.status === 'suspended')
  return isNews ? [{ kind, row, brake }] : []
}

async function lock(tx: Queryable, text: string, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return []
  const { rows } = await tx.query<{ id: string }>(text, [currentTenant(), [...new Set(ids)]])
  return rows.map(({ id }) => id)
}

async function measure(tx: Queryable, ids: readonly string[], text: string, values: unknown[]): Promise<Measured[]> {
  if (ids.length === 0) return []
  return (await tx.query<Measured>(text, [currentTenant(), ids, ...values])).rows
}

async function tell(
  tx: Queryable,
  { kind, row, brake }: Stopped,
  { responsible, requestId }: { responsible: readonly { userId: string }[]; requestId: string },
): Promise<void> {
  const tenantId = currentTenant()
  const what = kind === 'Campaign' ? 'campaign' : 'mailbox'
  await audit(tx, {
    tenantId,
    correlationId: requestId,
    action: `${kind === 'Campaign' ? 'campaign' : 'emailAccount'}.${brake.status === 'paused' ? 'pause' : 'suspend'}`,
    resourceType: kind,
    resourceId: row.id,
    oldValues: { status: row.status },
    newValues: { status: brake.status, pausedReason: brake.reason },
    notes: 'by a brake',
  })
  for (const { userId } of responsible) {
    await notify(tx, {
      tenantId,
      correlationId: requestId,
      userId,
      type: `${what}_${brake.status}`,
      title: `${what === 'campaign' ? 'Campaign' : 'Mailbox'} ${row.name} was ${brake.status}`,
      message: `${brake.reason}.`,
      priority: brake.status === 'suspended' ? 'urgent' : 'high',
      metadata: { [kind === 'Campaign' ? 'campaignId' : 'emailAccountId']: row.id },
    })
  }
}
