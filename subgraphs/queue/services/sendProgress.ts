import { isUuid } from '#platform/graph/ids.ts'
import type { ReadContext } from '../context.ts'

export type SendProgressCounts = {
  queued: number
  sending: number
  sent: number
  failed: number
  ratePerMinute: number
  eta: Date | null
}

type Counts = { campaignId: string; queued: number; sending: number; sent: number; failed: number; lately: number }

const RATE_MINUTES = 10

// A job may be done without its mail having left: it waits for another one, or will never leave.
const HAS_SENT = `coalesce(result ->> 'outcome', 'sent') = 'sent'`
const HAS_FAILED = `result ->> 'status' IN ('failed', 'bounced')`

const COUNT = `
  WITH in_work AS MATERIALIZED (SELECT id FROM my_jobs_in_work() WHERE queue_name = 'email-sending')
  SELECT campaign_id AS "campaignId",
    count(*) FILTER (WHERE status = 'queued' AND id NOT IN (SELECT id FROM in_work))::int AS queued,
    count(*) FILTER (WHERE status = 'queued' AND id IN (SELECT id FROM in_work))::int AS sending,
    count(*) FILTER (WHERE status = 'completed' AND ${HAS_SENT})::int AS sent,
    count(*) FILTER (WHERE status = 'failed' OR status = 'completed' AND ${HAS_FAILED})::int AS failed,
    count(*) FILTER (WHERE status = 'completed' AND ${HAS_SENT}
      AND completed_at > clock_timestamp() - $3 * interval '1 minute')::int AS lately
  FROM jobs
  WHERE tenant_id = $1 AND campaign_id = ANY($2::uuid[]) AND queue_name = 'email-sending'
  GROUP BY campaign_id`

/** How far the mail of each campaign has got, in one statement. All zero for a campaign without mail in the queue. */
export async function batchSendProgress(
  { caller, db }: ReadContext,
  campaignIds: readonly string[],
): Promise<(SendProgressCounts | null)[]> {
  if (caller.tenantId === null) return campaignIds.map(() => null)
  const ids = campaignIds.filter(isUuid).map((id) => id.toLowerCase())
  const { rows } = await db.tenantSql.query<Counts>(COUNT, [caller.tenantId, ids, RATE_MINUTES])
  const byId = new Map(rows.map((row) => [row.campaignId, row]))
  return campaignIds.map((id) => describeProgress(byId.get(id.toLowerCase())))
}

function describeProgress(counts: Counts | undefined): SendProgressCounts {
  const { queued, sending, sent, failed, lately } = counts ?? { queued: 0, sending: 0, sent: 0, failed: 0, lately: 0 }
  const ratePerMinute = lately / RATE_MINUTES
  const left = queued + sending
  const eta = left > 0 && ratePerMinute > 0 ? new Date(Date.now() + (left / ratePerMinute) * 60_000) : null
  return { queued, sending, sent, failed, ratePerMinute, eta }
}
