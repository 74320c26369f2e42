import { now } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import type { PlanRow } from '../rows.ts'
import { planAt } from './planPeriod.ts'

/** What a plan limits the number of, and how it is counted. */
const COUNTED = {
  domains: { limit: 'maxDomains', table: 'domains' },
  mailboxes: { limit: 'maxMailboxes', table: 'email_accounts' },
  leads: { limit: 'maxLeads', table: 'leads' },
} as const

const LOCK_TENANT = 'SELECT FROM tenants WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE'

const FIND_PLAN = `
  SELECT p.code, p.max_domains AS "maxDomains", p.max_mailboxes AS "maxMailboxes", p.max_leads AS "maxLeads"
  FROM subscriptions s JOIN plans p ON p.id = ${planAt('$2')} WHERE s.tenant_id = $1 AND s.status <> 'cancelled'`

type Limits = Pick<PlanRow, 'code' | 'maxDomains' | 'maxMailboxes' | 'maxLeads'>

/**
 * How many more of something the tenant's plan allows; null for any number, also while there is no subscription. Holds
 * the tenant until the transaction ends, so that two can't both take the last place.
 * @throws AppError NOT_FOUND when the tenant was closed
 */
export async function findRoom(tx: Queryable, what: keyof typeof COUNTED): Promise<number | null> {
  const tenantId = currentTenant()
  if ((await tx.query(LOCK_TENANT, [tenantId])).rowCount === 0) {
    throw new AppError('NOT_FOUND', 'this tenant does not exist')
  }
  const { limit, table } = COUNTED[what]
  const most = (await tx.query<Limits>(FIND_PLAN, [tenantId, now()])).rows[0]?.[limit] ?? null
  if (most === null) return null
  const text = `SELECT count(*)::int AS count FROM ${table} WHERE tenant_id = $1 AND deleted_at IS NULL`
  const { rows } = await tx.query<{ count: number }>(text, [tenantId])
  return Math.max(0, most - (rows[0]?.count ?? 0))
}

/**
 * Has a transaction that is about to create `count` more make sure that the tenant's plan allows it.
 * @throws AppError LIMIT_REACHED; NOT_FOUND when the tenant was closed
 */
export async function requireRoom(tx: Queryable, what: keyof typeof COUNTED, count = 1): Promise<void> {
  const room = await findRoom(tx, what)
  if (room !== null && room < count) {
    throw new AppError('LIMIT_REACHED', `the plan allows ${room === 0 ? 'no' : `only ${room}`} more ${what}`, {
      extensions: { limit: COUNTED[what].limit, room },
    })
  }
}
