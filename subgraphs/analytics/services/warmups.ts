import type { TenantPool } from '#platform/database/tenantPool.ts'
import { type HistoryDay, type HistoryTable, latest, listHistory } from './dailyHistory.ts'
import type { Days } from './days.ts'

export type WarmupStatus = 'warming' | 'paused' | 'completed'
type WarmupDay = HistoryDay & { status: WarmupStatus; plannedVolume: number; progressPercentage: number | null }
export type Warmup = {
  id: string
  status: WarmupStatus | null
  progressPercentage: number | null
  healthScore: number | null
  days: WarmupDay[]
  asOf: Date
}

const WARMUP_DAYS: HistoryTable = {
  table: 'warmup_analytics',
  entity: 'email_account_id',
  columns: 'f.planned_volume AS "plannedVolume", f.progress_percentage AS "progressPercentage"',
}

/** The warm-up of each mailbox, plan against actual, day by day. ids: UUIDs, lower case. */
export async function listWarmups(sql: TenantPool, ids: readonly string[], days: Days): Promise<Map<string, Warmup>> {
  const histories = await listHistory<WarmupDay>(sql, WARMUP_DAYS, ids, days)
  return new Map(
    [...histories].map(([id, history]) => [
      id,
      {
        id,
        ...history,
        status: latest(history.days, 'status'),
        progressPercentage: latest(history.days, 'progressPercentage'),
        healthScore: latest(history.days, 'healthScore'),
      },
    ]),
  )
}
