import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'

/** Whom something is about to end for: by mails of ours, by leads, by addresses or domains (lower case) of leads. */
export type Concerned = {
  messageIds?: readonly string[]
  leadIds?: readonly string[]
  emails?: readonly string[]
  domains?: readonly string[]
}

const LEADS = `
  SELECT unnest($3::uuid[]) AS id
  UNION SELECT l.id FROM leads l WHERE l.tenant_id = $1 AND l.email = ANY($4::text[])`
// Whom a domain stands for is found by looking through the tenant's leads: only when one is named.
const LEADS_WITH_DOMAINS = `${LEADS}
  UNION SELECT l.id FROM leads l WHERE l.tenant_id = $1 AND split_part(l.email, '@', 2) = ANY($5::text[])`

const holdMails = (leads: string) => `
  WITH lead AS (${leads}), concerned AS (
    SELECT unnest($2::uuid[]) AS id
    UNION SELECT q.id FROM lead JOIN inbox_message_refs q
      ON q.tenant_id = $1 AND q.lead_id = lead.id AND q.status = 'queued' AND q.direction = 'outbound'
  )
  SELECT r.id FROM concerned JOIN inbox_message_refs r ON r.tenant_id = $1 AND r.id = concerned.id
  ORDER BY r.id FOR NO KEY UPDATE OF r`

const holdEnrollments = (leads: string) => `
  WITH lead AS (${leads}), asked AS (SELECT cardinality($2::uuid[]))
  SELECT e.id FROM asked, lead JOIN campaign_enrollments e ON e.tenant_id = $1 AND e.lead_id = lead.id
  ORDER BY e.id FOR NO KEY UPDATE OF e`

const holdRows = (leads: string) => `
  WITH lead AS (${leads}), asked AS (SELECT cardinality($2::uuid[]))
  SELECT l.id FROM asked, lead JOIN leads l ON l.tenant_id = $1 AND l.id = lead.id ORDER BY l.id FOR NO KEY UPDATE OF l`

/**
 * Holds mails, the queued mail of leads, their enrollments and the leads until the transaction ends: in that order and
 * each in the order of their ids, as sending does, so that nobody waits for one who waits for him (see README.md). Three
 * statements, whatever is asked for. Call it before anything of them is written.
 */
export async function holdLeads(
  tx: Queryable,
  { messageIds = [], leadIds = [], emails = [], domains = [] }: Concerned,
): Promise<void> {
  if (messageIds.length + leadIds.length + emails.length + domains.length === 0) return
  const leads = domains.length > 0 ? LEADS_WITH_DOMAINS : LEADS
  const suffix = domains.length > 0 ? '_with_domains' : ''
  const values = [currentTenant(), messageIds, leadIds, emails, ...(domains.length > 0 ? [domains] : [])]
  await tx.query({ name: `hold_mails${suffix}`, text: holdMails(leads) }, values)
  await tx.query({ name: `hold_enrollments${suffix}`, text: holdEnrollments(leads) }, values)
  await tx.query({ name: `hold_leads${suffix}`, text: holdRows(leads) }, values)
}
