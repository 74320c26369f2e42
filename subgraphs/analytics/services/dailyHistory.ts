import type { TenantPool } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { asInt, selectFacts } from './aggregates.ts'
import type { Days } from './days.ts'
import { AS_OF } from './watermarks.ts'

/** One day of something whose days matter one by one. */
export type HistoryDay = {
  day: string
  sent: number
  delivered: number
  bounced: number
  spamComplaints: number
  status: string | null
  healthScore: number | null
}
export type History<Day> = { asOf: Date; days: Day[] }
export type HistoryTable = {
  table: string
  entity: string
  /** Further columns, as SQL over the fact row `f`. */
  columns: string
  /** Further condition on `f`. */
  where?: string
}

/** The days of each entity, oldest first, in one statement. ids: UUIDs, lower case. */
export async function listHistory<Day extends HistoryDay>(
  sql: TenantPool,
  { table, entity, columns, where = 'true' }: HistoryTable,
  ids: readonly string[],
  days: Days,
): Promise<Map<string, History<Day>>> {
  const rows = await selectFacts<Omit<Day, 'day'> & { id: string; asOf: Date; day: string | null }>(
    sql,
    `SELECT wanted.id, f.local_day::text AS day, ${asInt('f.sent')} AS sent, ${asInt('f.delivered')} AS delivered,
       ${asInt('f.bounced')} AS bounced, ${asInt('f.spam_complaints')} AS "spamComplaints",
       f.status, f.health_score AS "healthScore", ${columns}, ${AS_OF} AS "asOf"
     FROM unnest($1::uuid[]) AS wanted(id)
     LEFT JOIN ${table} f ON f.tenant_id = $2 AND f.${entity} = wanted.id AND ${where}
       AND f.local_day >= $3 AND f.local_day < $4
     ORDER BY wanted.id, f.local_day`,
    [ids, currentTenant(), days.from, days.until],
  )
  const histories = new Map<string, History<Day>>()
  for (const { id, asOf, ...day } of rows) {
    const history = histories.get(id) ?? { asOf, days: [] }
    histories.set(id, history)
    if (day.day !== null) history.days.push(day as unknown as Day)
  }
  return histories
}

/** The last known value of something measured on some days only. */
export function latest<Day, Key extends keyof Day>(days: readonly Day[], key: Key): Day[Key] | null {
  return days.findLast((day) => day[key] !== null)?.[key] ?? null
}
