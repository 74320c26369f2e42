import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import type { LeadFacts } from '../rendering/variables.ts'
import type { SentFacts } from './steps.ts'
import { isSuppressed } from './suppressed.ts'

/** A lead whose next step is due. */
export type DueEnrollment = {
  id: string
  version: number
  currentStepOrder: number
  nextRunAt: Date
  emailAccountId: string | null
  createdAt: Date
  leadId: string
  lead: LeadFacts & { status: string; isDeleted: boolean; isSuppressed: boolean }
}

/** An earlier mail of an enrollment. */
export type EarlierMail = SentFacts & {
  enrollmentId: string
  id: string
  status: string
  threadId: string
  rfc822MessageId: string | null
}

/** Where the next batch goes on, in each of the two lists. */
export type DueCursor = { followUps: Place; first: Place }
type Place = { at: string; id: string } | null

/** Before every id. */
const NO_ID = '00000000-0000-0000-0000-000000000000'

const COLUMNS = `e.id, e.version, e.current_step_order, e.next_run_at, e.email_account_id, e.created_at, e.lead_id`
const DUE = `
  FROM campaign_enrollments e
  WHERE e.tenant_id = $1 AND e.campaign_id = $2 AND e.status = 'active' AND e.next_run_at <= $3`

// Those that have been written to come first: when there is room for few, whoever waits for an answer is not left waiting.
const FIND = `
  WITH due AS (
    SELECT * FROM (
      (SELECT ${COLUMNS} ${DUE} AND e.current_step_order > 0
         AND (e.next_run_at, e.id) > (coalesce($5::timestamptz, '-infinity'), coalesce($6::uuid, '${NO_ID}'))
       ORDER BY e.next_run_at, e.id LIMIT $4)
      UNION ALL
      (SELECT ${COLUMNS} ${DUE} AND e.current_step_order = 0
         AND (e.next_run_at, e.id) > (coalesce($7::timestamptz, '-infinity'), coalesce($8::uuid, '${NO_ID}'))
       ORDER BY e.next_run_at, e.id LIMIT $4)) AS both_lists
    LIMIT $4
  )
  SELECT due.id, due.version, due.current_step_order AS "currentStepOrder", due.next_run_at AS "nextRunAt",
    due.email_account_id AS "emailAccountId", due.created_at AS "createdAt", l.id AS "leadId",
    jsonb_build_object('email', l.email, 'name', l.name, 'company', l.company, 'title', l.title, 'custom', l.custom,
      'status', l.status, 'isDeleted', l.deleted_at IS NOT NULL,
      'isSuppressed', ${isSuppressed('l', '$9::uuid')}) AS lead
  FROM due JOIN leads l ON l.tenant_id = $1 AND l.id = due.lead_id
  ORDER BY due.current_step_order = 0, due.next_run_at, due.id`

const EARLIER = `
  SELECT r.enrollment_id AS "enrollmentId", r.id, r.step_id AS "stepId", r.status, r.thread_id AS "threadId",
    r.rfc822_message_id AS "rfc822MessageId",
    coalesce(r.sent_at, CASE WHEN r.failure_reason = 'outcome_unknown' THEN r.accept_window_at END) AS "leftAt",
    r.human_opened_at AS "humanOpenedAt", r.clicked_at AS "clickedAt", r.replied_at AS "repliedAt"
  FROM inbox_message_refs r WHERE r.tenant_id = $1 AND r.enrollment_id = ANY($2::uuid[])`

/** Leads of a campaign whose next step is due up to `until`, follow-ups first; at most `limit`, after the cursor. */
export async function findDueEnrollments(
  sql: Queryable,
  campaign: { id: string; companyId: string },
  { until, limit, cursor }: { until: Date; limit: number; cursor: DueCursor | null },
): Promise<DueEnrollment[]> {
  const { followUps = null, first = null } = cursor ?? {}
  const { rows } = await sql.query<DueEnrollment>({ name: 'due_enrollments', text: FIND }, [
    ...[currentTenant(), campaign.id, until, limit],
    ...[followUps?.at, followUps?.id, first?.at, first?.id, campaign.companyId],
  ])
  return rows
}

/** Where a batch that ended with these goes on. */
export function cursorAfter(due: readonly DueEnrollment[], cursor: DueCursor | null): DueCursor {
  const placeOf = (last: DueEnrollment | undefined): Place =>
    last ? { at: last.nextRunAt.toISOString(), id: last.id } : null
  return {
    followUps: placeOf(due.findLast(({ currentStepOrder }) => currentStepOrder > 0)) ?? cursor?.followUps ?? null,
    first: placeOf(due.findLast(({ currentStepOrder }) => currentStepOrder === 0)) ?? cursor?.first ?? null,
  }
}

/** The mails of enrollments so far, oldest first, by enrollment. */
export async function findEarlierMails(
  sql: Queryable,
  enrollmentIds: readonly string[],
): Promise<Map<string, EarlierMail[]>> {
  const byEnrollment = new Map<string, EarlierMail[]>(enrollmentIds.map((id) => [id, []]))
  if (enrollmentIds.length === 0) return byEnrollment
  const { rows } = await sql.query<EarlierMail>({ name: 'earlier_mails', text: EARLIER }, [
    currentTenant(),
    enrollmentIds,
  ])
  // Ids of version 7 are in the order of time.
  for (const mail of rows.sort((a, b) => (a.id < b.id ? -1 : 1))) byEnrollment.get(mail.enrollmentId)?.push(mail)
  return byEnrollment
}
