import { v7 as uuidv7 } from 'uuid'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { isSuppressed } from './suppressed.ts'

/** Leads of one statement; callers with more come several times. */
export const MAX_ENROLLED = 5_000

/** What became of the leads asked for; together they are as many as different ids were given. */
export type Enrolled = {
  enrolled: number
  /** In the campaign before, however they fared in it. */
  known: number
  /** Must not be written to. */
  suppressed: number
  /** Another tenant's, deleted, or never there. */
  unknown: number
}

// A lead is enrolled once, ever: who has left a campaign does not come back to it by a list.
const ENROLL = `
  WITH asked AS (
    SELECT * FROM unnest($3::uuid[], $4::uuid[]) AS a (id, lead_id)
  ), campaign AS (
    SELECT id, company_id FROM campaigns WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL
  ), lead AS (
    SELECT asked.id AS enrollment_id, l.id, c.id AS campaign_id,
           ${isSuppressed('l', 'c.company_id')} AS is_suppressed,
           EXISTS (SELECT FROM campaign_enrollments e
                   WHERE e.tenant_id = $1 AND e.campaign_id = $2 AND e.lead_id = l.id) AS is_known
    FROM asked JOIN leads l ON l.tenant_id = $1 AND l.id = asked.lead_id AND l.deleted_at IS NULL CROSS JOIN campaign c
  ), added AS (
    INSERT INTO campaign_enrollments (tenant_id, id, campaign_id, lead_id, next_run_at, created_at)
    SELECT $1, enrollment_id, campaign_id, id, $5, $6 FROM lead WHERE NOT is_known AND NOT is_suppressed
    ORDER BY id ON CONFLICT DO NOTHING RETURNING id
  )
  SELECT (SELECT count(*)::int FROM campaign) AS campaigns, (SELECT count(*)::int FROM added) AS enrolled,
         count(*) FILTER (WHERE is_suppressed AND NOT is_known)::int AS suppressed, count(*)::int AS found
  FROM lead`

/**
 * Puts leads of the tenant in scope into a campaign, in the caller's transaction and one statement.
 * @param options `dueAt`: when their first step is due, null while the campaign is not launched; `at`: now
 * @throws AppError NOT_FOUND for an unknown campaign; LIMIT_REACHED above 5000 leads
 */
export async function enrollLeads(
  tx: Queryable,
  campaignId: string,
  leadIds: readonly string[],
  { dueAt, at }: { dueAt: Date | null; at: Date },
): Promise<Enrolled> {
  const asked = [...new Set(leadIds.map((id) => id.toLowerCase()))]
  if (asked.length > MAX_ENROLLED) throw new AppError('LIMIT_REACHED', `leads: at most ${MAX_ENROLLED} at a time`)
  type Row = { campaigns: number; enrolled: number; suppressed: number; found: number }
  const values = [currentTenant(), campaignId, asked.map(() => uuidv7()), asked, dueAt, at]
  const { rows } = await tx.query<Row>({ name: 'enroll_leads', text: ENROLL }, values)
  const [row] = rows
  if (!row || row.campaigns === 0) throw new AppError('NOT_FOUND', 'campaignId: there is no such campaign')
  const { enrolled, suppressed, found } = row
  return { enrolled, suppressed, known: found - enrolled - suppressed, unknown: asked.length - found }
}

// Whoever has a mail on its way has no time of its own: it gets one when that mail has left.
const START = `
  WITH resting AS (
    SELECT e.id FROM campaign_enrollments e
    WHERE e.tenant_id = $1 AND e.campaign_id = $2 AND e.status = 'active' AND e.next_run_at IS NULL
      AND NOT EXISTS (SELECT FROM inbox_message_refs r
                      WHERE r.tenant_id = $1 AND r.enrollment_id = e.id AND r.status IN ('queued', 'sending'))
    ORDER BY e.id FOR NO KEY UPDATE OF e
  )
  UPDATE campaign_enrollments e SET next_run_at = $3, version = e.version + 1
  FROM resting WHERE e.tenant_id = $1 AND e.id = resting.id`

/**
 * Sets the leads of a campaign going that are not yet: at a launch, or when it goes on with steps that were added.
 * Answers how many. Wake the campaign in the same transaction.
 * @param at by the business clock
 */
export async function startEnrollments(tx: Queryable, campaignId: string, at: Date): Promise<number> {
  const { rowCount } = await tx.query({ name: 'start_enrollments', text: START }, [currentTenant(), campaignId, at])
  return rowCount ?? 0
}
