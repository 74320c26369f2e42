import { now } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import type { OutboxEventInput } from '#platform/outbox/append.ts'
import { wakeCampaigns } from '../sending/agenda.ts'
import { giveBack, MAIL_PLACE, type MailPlace } from '../sending/failQueued.ts'
import type { About } from './answers.ts'
import { makeEmailEvent } from './emailEvents.ts'
import type { AnsweredMessage } from './placement.ts'

/** A campaign's mail that a person has answered. */
export type RepliedMail = { message: AnsweredMessage; at: Date }

// What was answered has arrived. A mail that is just leaving keeps its state: who sends it has yet to write what became
// of it. Whoever has answered gets nothing more of the campaign, also what is queued already.
const RECORD = `
  WITH told AS (
    SELECT * FROM jsonb_to_recordset($2::jsonb)
      AS t (id uuid, "campaignId" uuid, "leadId" uuid, "enrollmentId" uuid, at timestamptz(3))
  ), before AS (
    SELECT r.id, r.replied_at IS NULL AS "isFirst", r.delivered_at IS NULL AND r.bounced_at IS NULL AS "isArrival"
    FROM told JOIN inbox_message_refs r ON r.tenant_id = $1 AND r.id = told.id ORDER BY r.id FOR UPDATE OF r
  ), marked AS (
    UPDATE inbox_message_refs r
    SET status = CASE WHEN r.status IN ('sent', 'delivered', 'opened') THEN 'replied' ELSE r.status END,
        replied_at = coalesce(r.replied_at, told.at),
        delivered_at = CASE WHEN "isArrival" THEN told.at ELSE r.delivered_at END, version = r.version + 1
    FROM told JOIN before USING (id) WHERE r.tenant_id = $1 AND r.id = told.id AND "isFirst"
    RETURNING r.id, r.version, "isArrival"
  ), ended AS (
    UPDATE campaign_enrollments e
    SET status = 'replied', stop_reason = 'replied', ended_at = told.at, next_run_at = NULL, version = e.version + 1
    FROM told WHERE e.tenant_id = $1 AND e.campaign_id = told."campaignId" AND e.lead_id = told."leadId"
      AND e.status IN ('active', 'completed')
    RETURNING e.campaign_id
  ), leads AS (
    UPDATE leads l SET status = 'replied'
    FROM told WHERE l.tenant_id = $1 AND l.id = told."leadId" AND l.status IN ('new', 'contacted')
  ), failed AS (
    UPDATE inbox_message_refs r
    SET status = 'failed', failed_at = told.at, failure_reason = 'replied', version = r.version + 1
    FROM told WHERE r.tenant_id = $1 AND r.lead_id = told."leadId" AND r.campaign_id = told."campaignId"
      AND r.status = 'queued' AND r.direction = 'outbound'
    RETURNING ${MAIL_PLACE}
  )
  SELECT (SELECT coalesce(jsonb_agg(marked), '[]') FROM marked) AS marked,
         (SELECT coalesce(jsonb_agg(failed), '[]') FROM failed) AS failed,
         (SELECT coalesce(array_agg(DISTINCT campaign_id), '{}') FROM ended) AS "campaignIds"`

/**
 * Records that persons have answered campaigns' mails, in the caller's transaction and a fixed number of statements: the
 * mails are replied, the leads' enrollments end, their queued mail of the campaign fails with the reason `replied` and what
 * was promised for it is given back. Only the first answer to a mail is announced. Answers the events.
 * @param tx of `transact`, which holds the leads
 */
export async function recordReplies(
  tx: Queryable,
  replies: readonly RepliedMail[],
  about: About,
): Promise<OutboxEventInput[]> {
  if (replies.length === 0) return []
  const byId = new Map(replies.map((reply) => [reply.message.id, reply]))
  const rows = [...byId.values()].map(({ message: { id, campaignId, leadId }, at }) => ({ id, campaignId, leadId, at }))
  type Marked = { id: string; version: number; isArrival: boolean }
  type Failed = Omit<MailPlace, 'scheduledAt'> & { scheduledAt: string | null }
  type Recorded = { marked: Marked[]; failed: Failed[]; campaignIds: string[] }
  const recorded = await tx.query<Recorded>({ name: 'record_replies', text: RECORD }, [
    currentTenant(),
    JSON.stringify(rows),
  ])
  const { marked = [], failed = [], campaignIds = [] } = recorded.rows[0] ?? {}
  // Whose last lead has left has ended.
  wakeCampaigns(tx, campaignIds, now())
  await giveBack(
    tx,
    failed.map(({ scheduledAt, ...place }) => ({ ...place, scheduledAt: scheduledAt ? new Date(scheduledAt) : null })),
  )
  return marked.flatMap(({ id, version, isArrival }) => {
    const { message, at } = byId.get(id) ?? {}
    if (!message || !at) return []
    const { mailbox } = message
    const event = (eventType: 'delivered' | 'replied') =>
      makeEmailEvent({ eventType, at, message: { ...message, version }, mailbox, ...about })
    return isArrival ? [event('delivered'), event('replied')] : [event('replied')]
  })
}
