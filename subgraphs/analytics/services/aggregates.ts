import { nameStatement } from '#platform/database/statementNames.ts'
import type { TenantPool } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import type { Days } from './days.ts'
import { AS_OF } from './watermarks.ts'

/** What every fact table counts, as GraphQL's Int: a number above its limit reads as the limit. */
export type Counts = {
  sent: number
  delivered: number
  received: number
  openedTracked: number
  openedByPerson: number
  clickedTracked: number
  replied: number
  bounced: number
  unsubscribed: number
  spamComplaints: number
}
/** Sums over days, and the instant up to which they count. */
export type Totals = Counts & { id: string; asOf: Date }
export type TimePoint = Counts & { day: string; asOf: Date }
export type Granularity = 'day' | 'week' | 'month'

/** A daily fact table and the column that names its entity. */
export type FactTable = { table: string; entity: string }
export const CAMPAIGN_FACTS: FactTable = { table: 'campaign_analytics', entity: 'campaign_id' }
export const STEP_FACTS: FactTable = { table: 'sequence_step_analytics', entity: 'step_id' }
export const MAILBOX_FACTS: FactTable = { table: 'mailbox_analytics', entity: 'email_account_id' }
export const LEAD_FACTS: FactTable = { table: 'lead_analytics', entity: 'lead_id' }

const COUNTERS: Record<keyof Counts, string> = {
  sent: 'sent',
  delivered: 'delivered',
  received: 'received',
  openedTracked: 'opened_tracked',
  openedByPerson: 'opened_by_person',
  clickedTracked: 'clicked_tracked',
  replied: 'replied',
  bounced: 'bounced',
  unsubscribed: 'unsubscribed',
  spamComplaints: 'spam_complaints',
}

/** SQL of a number that fits GraphQL's Int; nothing counts as 0. */
export function asInt(expression: string): string {
  return `least(coalesce(${expression}, 0), 2147483647)::int`
}

/** SQL that sums the counters of the fact rows `f`, each under its GraphQL name. */
export const SUMS = Object.entries(COUNTERS)
  .map(([name, column]) => `${asInt(`sum(f.${column})`)} AS "${name}"`)
  .join(', ')

/**
 * Totals of each entity over some days, in one statement however many there are. An entity without facts has zeros,
 * whoever it belongs to. ids: UUIDs, lower case.
 */
export async function sumFacts(
  sql: TenantPool,
  facts: FactTable,
  ids: readonly string[],
  days: Days,
): Promise<Map<string, Totals>> {
  const rows = await selectFacts<Totals>(
    sql,
    `SELECT wanted.id, ${SUMS}, ${AS_OF} AS "asOf"
     FROM unnest($1::uuid[]) AS wanted(id)
     LEFT JOIN ${facts.table} f ON f.tenant_id = $2 AND f.${facts.entity} = wanted.id
       AND f.local_day >= $3 AND f.local_day < $4
     GROUP BY wanted.id`,
    [ids, currentTenant(), days.from, days.until],
  )
  return new Map(rows.map((row) => [row.id, row]))
}

/** Totals of a tenant's whole table over some days, under the tenant's id. */
export async function sumAllFacts(sql: TenantPool, facts: FactTable, days: Days): Promise<Totals> {
  const [totals] = await selectFacts<Totals>(
    sql,
    `SELECT $1::uuid AS id, ${SUMS}, ${AS_OF} AS "asOf"
     FROM ${facts.table} f WHERE f.tenant_id = $1 AND f.local_day >= $2 AND f.local_day < $3`,
    [currentTenant(), days.from, days.until],
  )
  return totals as Totals
}

/** Totals of each entity per day, week (from Monday) or month, oldest first; steps without facts are left out. */
export async function sumFactsByTime(
  sql: TenantPool,
  facts: FactTable,
  ids: readonly string[],
  { days, granularity }: { days: Days; granularity: Granularity },
): Promise<Map<string, TimePoint[]>> {
  const rows = await selectFacts<TimePoint & { id: string }>(
    sql,
    `SELECT f.${facts.entity} AS id, date_trunc($5, f.local_day::timestamp)::date::text AS day, ${SUMS},
       ${AS_OF} AS "asOf"
     FROM ${facts.table} f
     WHERE f.${facts.entity} = ANY($1::uuid[]) AND f.tenant_id = $2 AND f.local_day >= $3 AND f.local_day < $4
     GROUP BY 1, 2 ORDER BY 1, 2`,
    [ids, currentTenant(), days.from, days.until, granularity],
  )
  const series = new Map<string, TimePoint[]>(ids.map((id) => [id, []]))
  for (const row of rows) series.get(row.id)?.push(row)
  return series
}

/** Totals of each step of a campaign that has facts in these days. */
export function sumStepsOfCampaign(sql: TenantPool, campaignId: string, days: Days): Promise<Totals[]> {
  return selectFacts<Totals>(
    sql,
    `SELECT f.step_id AS id, ${SUMS}, ${AS_OF} AS "asOf"
     FROM sequence_step_analytics f
     WHERE f.campaign_id = $1 AND f.tenant_id = $2 AND f.local_day >= $3 AND f.local_day < $4
     GROUP BY 1 ORDER BY 1`,
    [campaignId, currentTenant(), days.from, days.until],
  )
}

/** Runs one prepared statement as the tenant in scope. */
export async function selectFacts<Row extends object>(
  sql: TenantPool,
  text: string,
  values: readonly unknown[],
): Promise<Row[]> {
  const { rows } = await sql.query<Row>({ name: nameStatement({ sql: text }), text, values: [...values] })
  return rows
}

/** part of whole, 0 to 1; 0 where there is no whole. */
export function rate(part: number, whole: number): number {
  return whole > 0 ? Math.min(1, part / whole) : 0
}
