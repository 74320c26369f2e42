import type { TenantPool } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { asInt, selectFacts } from './aggregates.ts'
import { AS_OF } from './watermarks.ts'

export type Health = {
  id: string
  healthScore: number | null
  sent: number
  bounceRate: number
  complaintRate: number
  replyRate: number
  asOf: Date
}

/** Health of each mailbox over its last 30 local days, computed now. ids: UUIDs, lower case. */
export async function computeHealth(sql: TenantPool, ids: readonly string[]): Promise<Map<string, Health>> {
  const rows = await selectFacts<Health>(
    sql,
    `SELECT wanted.id, ${asInt('sum(f.sent)')} AS sent,
       mail_health_score(sum(f.sent), sum(f.bounced), sum(f.spam_complaints)) AS "healthScore",
       rate(sum(f.bounced), sum(f.sent)) AS "bounceRate",
       rate(sum(f.spam_complaints), sum(f.sent)) AS "complaintRate",
       rate(sum(f.replied), sum(f.sent)) AS "replyRate", ${AS_OF} AS "asOf"
     FROM unnest($1::uuid[]) AS wanted(id)
     LEFT JOIN mailbox_analytics f ON f.tenant_id = $2 AND f.email_account_id = wanted.id
       AND f.local_day > current_date - 30
     GROUP BY wanted.id`,
    [ids, currentTenant()],
  )
  return new Map(rows.map((row) => [row.id, row]))
}
