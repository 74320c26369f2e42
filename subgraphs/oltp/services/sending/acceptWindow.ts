import { now } from '#platform/clock.ts'
import { currentTenant, runAsTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import { groupBy } from '#platform/grouping.ts'
import type { Context } from '../../context.ts'
import { MAX_SENDING } from './begin.ts'

export type Attempt = { tenantId: string; messageId: string; attempt: number }

// A lead that answered, a person who paused campaign or mailbox, a day that has ended since the mail was taken up: it is
// not too late yet. Mails are taken in the order in which everybody takes them, whatever the plan of the rest.
const OPEN = `
  WITH held AS MATERIALIZED (
    SELECT r.id, a.attempt FROM unnest($2::uuid[], $3::int[]) AS a (id, attempt)
    JOIN inbox_message_refs r ON r.tenant_id = $1 AND r.id = a.id ORDER BY r.id FOR NO KEY UPDATE OF r
  )
  UPDATE inbox_message_refs r SET accept_window_at = $4, version = r.version + 1
  FROM held
  WHERE r.tenant_id = $1 AND r.id = held.id AND r.status = 'sending' AND r.send_attempts = held.attempt
    AND r.accept_window_at IS NULL
    AND (r.enrollment_id IS NULL OR EXISTS (
      SELECT FROM campaign_enrollments e WHERE e.tenant_id = $1 AND e.id = r.enrollment_id AND e.status = 'active'))
    AND (r.campaign_id IS NULL OR EXISTS (
      SELECT FROM campaigns c JOIN tenants t ON t.id = c.tenant_id
      WHERE c.tenant_id = $1 AND c.id = r.campaign_id AND c.status = 'sending'
        AND (r.scheduled_at AT TIME ZONE t.timezone)::date = ($4::timestamptz AT TIME ZONE t.timezone)::date
        AND (r.scheduled_at AT TIME ZONE 'UTC')::date = ($4::timestamptz AT TIME ZONE 'UTC')::date))
    AND EXISTS (SELECT FROM email_accounts a WHERE a.tenant_id = $1 AND a.id = r.email_account_id
      AND a.status = 'active' AND a.deleted_at IS NULL)
  RETURNING r.id`

/**
 * Notes that the other servers are ready for the text of these mails. From here until the answer nobody can know whether
 * they have it, so a mail that is lost in between is never sent again. Answers, in order, which attempts may go on: one
 * that was overtaken, or whose lead, campaign, mailbox or day has ended meanwhile, must hang up without the text.
 * @throws AppError LIMIT_REACHED above 100; INVALID_INPUT for an id that is none
 */
export async function openAcceptWindows({ db }: Context, attempts: readonly Attempt[]): Promise<boolean[]> {
  if (attempts.length > MAX_SENDING) throw new AppError('LIMIT_REACHED', `attempts: at most ${MAX_SENDING} at a time`)
  const asked = attempts.map(({ tenantId, messageId, attempt }) => ({
    ...{ tenantId: readId(tenantId, 'tenantId'), messageId: readId(messageId, 'messageId'), attempt },
  }))
  const opened = new Set<string>()
  for (const [tenantId, own] of groupBy(asked, (attempt) => attempt.tenantId)) {
    await runAsTenant(tenantId, async () => {
      const ids = own.map(({ messageId }) => messageId)
      const values = [currentTenant(), ids, own.map(({ attempt }) => attempt), now()]
      const { rows } = await db.tenantSql.query<{ id: string }>({ name: 'open_accept_windows', text: OPEN }, values)
      for (const { id } of rows) opened.add(id)
    })
  }
  return asked.map(({ messageId }) => opened.has(messageId))
}
