import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import type { OutboxEventInput } from '#platform/outbox/append.ts'
import { suppress } from '../leads/suppressions.ts'
import type { About } from './answers.ts'
import { type EventMessage, type Mailbox, makeEmailEvent } from './emailEvents.ts'

/** A mail of ours that came back, or was refused on the way out. */
export type BouncedMail = {
  message: EventMessage & { toEmail: string | null; mailbox: Mailbox }
  bounceType: 'hard' | 'soft'
  at: Date
  /** The report that tells it, if one does. */
  sourceMessageId: string | null
}

// A mail bounces once, however many reports come back; one that came back for now may turn out to be back for good. A mail
// that is just leaving keeps its state: who sends it has yet to write what became of it.
const MARK = `
  WITH told AS (
    SELECT * FROM jsonb_to_recordset($2::jsonb) AS t (id uuid, "bounceType" text, at timestamptz(3))
  ), before AS (
    SELECT r.id, r.bounced_at IS NULL AS "isFirst"
    FROM told JOIN inbox_message_refs r ON r.tenant_id = $1 AND r.id = told.id
    WHERE r.bounced_at IS NULL OR (r.bounce_type = 'soft' AND told."bounceType" = 'hard')
    ORDER BY r.id FOR UPDATE OF r
  )
  UPDATE inbox_message_refs r
  SET status = CASE r.status WHEN 'sending' THEN r.status ELSE 'bounced' END, bounce_type = told."bounceType",
      bounced_at = coalesce(r.bounced_at, told.at), version = r.version + 1
  FROM told JOIN before USING (id) WHERE r.tenant_id = $1 AND r.id = told.id
  RETURNING r.id, r.version, "isFirst"`

// Three in a row over three days: of the mails to the lead that anything is known of, the last three came back.
const WORN_OUT = `
  SELECT lead.id FROM unnest($2::uuid[]) AS lead (id)
  CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE bounced_at IS NOT NULL) AS bounced, max(bounced_at) - min(bounced_at) AS span
    FROM (SELECT r.bounced_at FROM inbox_message_refs r
          WHERE r.tenant_id = $1 AND r.lead_id = lead.id AND r.direction = 'outbound'
            AND (r.bounced_at IS NOT NULL OR r.delivered_at IS NOT NULL OR r.replied_at IS NOT NULL)
          ORDER BY r.created_at DESC, r.id DESC LIMIT $3) AS last
  ) AS streak
  WHERE streak.bounced = $3 AND streak.span >= make_interval(days => $4)`

/** So many soft bounces in a row, over at least so many days, are as good as a hard one. */
export const SOFT_BOUNCES_IN_A_ROW = 3
export const SOFT_BOUNCE_DAYS = 3

/**
 * Records mails that came back, in the caller's transaction and at most three statements: the mails are bounced; after a
 * hard bounce, or three soft ones in a row over three days, the address is suppressed for the tenant, the lead's
 * enrollments end and its queued mail fails. Answers the events. Brakes are the caller's to pull: see `applyBrakes`.
 */
export async function recordBounces(
  tx: Queryable,
  bounces: readonly BouncedMail[],
  about: About,
): Promise<OutboxEventInput[]> {
  if (bounces.length === 0) return []
  const byId = new Map<string, BouncedMail>()
  for (const bounce of bounces) {
    if (!byId.has(bounce.message.id) || bounce.bounceType === 'hard') byId.set(bounce.message.id, bounce)
  }
  const rows = [...byId].map(([id, { bounceType, at }]) => ({ id, bounceType, at }))
  type Marked = { id: string; version: number; isFirst: boolean }
  const marked = await tx.query<Marked>({ name: 'record_bounces', text: MARK }, [currentTenant(), JSON.stringify(rows)])
  const back = marked.rows.flatMap((row) => {
    const bounce = byId.get(row.id)
    return bounce ? [{ ...bounce, ...row }] : []
  })
  const wornOut = await findWornOut(tx, back)
  const gone = back.filter(
    ({ bounceType, message }) => bounceType === 'hard' || (message.leadId !== null && wornOut.has(message.leadId)),
  )
  await suppress(
    tx,
    gone.flatMap(({ message: { toEmail: email }, sourceMessageId, at }) =>
      email === null ? [] : [{ email, reason: 'bounce' as const, sourceMessageId, at }],
    ),
  )
  return back
    .filter(({ isFirst }) => isFirst)
    .map(({ message, version, at, bounceType }) => {
      const { mailbox } = message
      return makeEmailEvent({
        eventType: 'bounced',
        bounceType,
        at,
        message: { ...message, version },
        mailbox,
        ...about,
      })
    })
}

async function findWornOut(tx: Queryable, bounces: readonly BouncedMail[]): Promise<Set<string>> {
  const leadIds = bounces.flatMap(({ bounceType, message }) => (bounceType === 'soft' ? (message.leadId ?? []) : []))
  if (leadIds.length === 0) return new Set()
  const values = [currentTenant(), [...new Set(leadIds)], SOFT_BOUNCES_IN_A_ROW, SOFT_BOUNCE_DAYS]
  const { rows } = await tx.query<{ id: string }>({ name: 'soft_bounce_streaks', text: WORN_OUT }, values)
  return new Set(rows.map(({ id }) => id))
}
