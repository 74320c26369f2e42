import { now, realSpan } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant, runAsTenant } from '#platform/database/tenantScope.ts'
import { groupBy } from '#platform/grouping.ts'
import { appendOutbox } from '#platform/outbox/append.ts'
import type { Context } from '../../context.ts'
import { MAX_SENDING } from './begin.ts'
import { finishSending } from './finish.ts'
import { mailDue } from './queuedMail.ts'

/** No attempt takes so long; real milliseconds. */
const STUCK_AFTER_MS = 15 * 60_000

/** Mails settled in one call. */
const MAX_SETTLED = 1_000

const STUCK = `
  SELECT tenant_id AS "tenantId", id AS "messageId", send_attempts AS attempt, accept_window_at AS "acceptWindowAt"
  FROM inbox_message_refs WHERE status = 'sending' AND sending_started_at < $1
  ORDER BY sending_started_at LIMIT $2`

// Mail of campaigns gets its new time from the planner. What its mailbox may not send is left: it would only come back.
const FORGOTTEN = `
  SELECT r.tenant_id AS "tenantId", r.id FROM inbox_message_refs r
  WHERE r.status = 'queued' AND r.campaign_id IS NULL AND r.direction = 'outbound' AND r.scheduled_at < $1
    AND (r.queued_at IS NULL OR r.queued_at < $1)
    AND EXISTS (SELECT FROM email_accounts a JOIN domains d ON d.tenant_id = a.tenant_id AND d.id = a.domain_id
                WHERE a.tenant_id = r.tenant_id AND a.id = r.email_account_id AND a.status = 'active'
                  AND d.verification_status = 'verified' AND d.deleted_at IS NULL)
  ORDER BY r.scheduled_at LIMIT $2`

const ANNOUNCE_AGAIN = `
  WITH forgotten AS (
    SELECT id FROM inbox_message_refs WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND status = 'queued'
    ORDER BY id FOR NO KEY UPDATE
  )
  UPDATE inbox_message_refs r SET queued_at = $3, version = r.version + 1
  FROM forgotten WHERE r.tenant_id = $1 AND r.id = forgotten.id
  RETURNING r.id, r.email_account_id AS "emailAccountId", r.campaign_id AS "campaignId",
    r.scheduled_at AS "scheduledAt", r.version`

type Stuck = { tenantId: string; messageId: string; attempt: number; acceptWindowAt: Date | null }
type Forgotten = { id: string; emailAccountId: string; campaignId: string | null; scheduledAt: Date; version: number }

/**
 * Settles mail of all tenants that began to leave and was not heard of again, and has mail sent that its job forgot: who
 * was in the accept window is given up as unknown, the others begin anew. Answers how many.
 * @param stuckAfterMs real milliseconds
 */
export async function settleStuck(context: Context, stuckAfterMs = STUCK_AFTER_MS): Promise<number> {
  const { db, log } = context
  const before = new Date(now().getTime() - stuckAfterMs / realSpan(1))
  const stuck = (await db.systemSql.query<Stuck>(STUCK, [before, MAX_SETTLED])).rows
  for (let from = 0; from < stuck.length; from += MAX_SENDING) {
    const mails = stuck.slice(from, from + MAX_SENDING).map(({ acceptWindowAt, ...attempt }) => {
      return { ...attempt, outcome: acceptWindowAt ? ('unknown' as const) : ('aborted' as const) }
    })
    await finishSending(context, mails)
  }
  const forgotten = (await db.systemSql.query<{ tenantId: string; id: string }>(FORGOTTEN, [before, MAX_SETTLED])).rows
  for (const [tenantId, own] of groupBy(forgotten, (mail) => mail.tenantId)) {
    await runAsTenant(tenantId, () =>
      announceAgain(
        context,
        own.map(({ id }) => id),
      ),
    )
  }
  const settled = stuck.length + forgotten.length
  if (settled > 0) log.warn({ stuck: stuck.length, forgotten: forgotten.length }, 'mail that was stuck was settled')
  return settled
}

async function announceAgain({ db, relay, requestId }: Context, ids: readonly string[]): Promise<void> {
  const work = async (tx: Queryable) => {
    const statement = { name: 'announce_mails_again', text: ANNOUNCE_AGAIN }
    const { rows } = await tx.query<Forgotten>(statement, [currentTenant(), ids, now()])
    await appendOutbox(
      tx,
      rows.map((mail) => mailDue(mail, requestId)),
    )
  }
  await db.tenantSql.transaction(work, { retries: 2 })
  relay.wake()
}
