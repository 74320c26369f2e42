import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import type { EnrollmentChange } from './planBatch.ts'

const CHANGE = `
  UPDATE campaign_enrollments e
  SET status = c.status, current_step_order = c."currentStepOrder", next_run_at = c."nextRunAt",
      email_account_id = c."emailAccountId", stop_reason = c."stopReason",
      ended_at = CASE WHEN c.status = 'active' THEN NULL ELSE $3::timestamptz END, version = e.version + 1
  FROM jsonb_to_recordset($2::jsonb) AS c (id uuid, version int, status text, "currentStepOrder" int,
    "nextRunAt" timestamptz, "emailAccountId" uuid, "stopReason" text)
  WHERE e.tenant_id = $1 AND e.id = c.id AND e.version = c.version AND e.status = 'active'
  RETURNING e.id`

const LOCK = `
  SELECT e.id, e.version FROM campaign_enrollments e
  WHERE e.tenant_id = $1 AND e.id = ANY($2::uuid[]) AND e.status = 'active' ORDER BY e.id FOR NO KEY UPDATE`

/** Takes enrollments for this transaction; answers the versions of those still active. */
export async function lockEnrollments(tx: Queryable, ids: readonly string[]): Promise<Map<string, number>> {
  if (ids.length === 0) return new Map()
  const values = [currentTenant(), ids]
  const { rows } = await tx.query<{ id: string; version: number }>({ name: 'lock_enrollments', text: LOCK }, values)
  return new Map(rows.map(({ id, version }) => [id, version]))
}

/** Changes enrollments of the tenant in scope that are still as they were read; answers the ids of those changed. */
export async function changeEnrollments(
  tx: Queryable,
  changes: readonly EnrollmentChange[],
  at: Date,
): Promise<Set<string>> {
  if (changes.length === 0) return new Set()
  const values = [currentTenant(), JSON.stringify(changes), at]
  const { rows } = await tx.query<{ id: string }>({ name: 'change_enrollments', text: CHANGE }, values)
  return new Set(rows.map(({ id }) => id))
}
