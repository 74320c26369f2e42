import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'

export type BudgetScope = 'mailbox' | 'domain' | 'campaign' | 'plan'

/** What mails are counted by: whose, and which day (`2026-11-22`; of a plan the first of its period). */
export type BudgetKey = { scope: BudgetScope; scopeId: string; day: string }

/** How much was promised for a day, and how much of it began to leave. */
export type Budget = { reserved: number; sent: number }

/** Changes of one budget; what falls below zero becomes zero. */
export type BudgetChange = BudgetKey & Budget

const ASKED = 'unnest($2::text[], $3::uuid[], $4::date[]) AS asked (scope, scope_id, day)'

const FIND = `
  SELECT b.scope, b.scope_id AS "scopeId", b.day::text, b.reserved, b.sent
  FROM ${ASKED} JOIN sending_budgets b ON b.tenant_id = $1 AND (b.scope, b.scope_id, b.day) = (asked.scope, asked.scope_id, asked.day)`

const ENSURE = `
  INSERT INTO sending_budgets (tenant_id, scope, scope_id, day)
  SELECT $1, scope, scope_id, day FROM ${ASKED} ORDER BY scope, scope_id, day ON CONFLICT DO NOTHING`

// Whoever takes several takes them in this order, so nobody waits for one who waits for him.
const LOCK = `
  SELECT b.scope, b.scope_id AS "scopeId", b.day::text, b.reserved, b.sent FROM sending_budgets b
  WHERE b.tenant_id = $1 AND (b.scope, b.scope_id, b.day) IN (SELECT scope, scope_id, day FROM ${ASKED})
  ORDER BY b.scope, b.scope_id, b.day FOR UPDATE`

const CHANGE = `
  UPDATE sending_budgets b
  SET reserved = greatest(0, b.reserved + c.reserved), sent = greatest(0, b.sent + c.sent)
  FROM unnest($2::text[], $3::uuid[], $4::date[], $5::int[], $6::int[]) AS c (scope, scope_id, day, reserved, sent)
  WHERE b.tenant_id = $1 AND (b.scope, b.scope_id, b.day) = (c.scope, c.scope_id, c.day)`

/** Budgets of the tenant in scope as they stand; one that nothing was promised of is zero. */
export type Budgets = { of(key: BudgetKey): Budget }

/** Looks, without holding anybody up: what is seen may be taken a moment later. */
export async function findBudgets(sql: Queryable, keys: readonly BudgetKey[]): Promise<Budgets> {
  return readRows(await sql.query<BudgetRow>({ name: 'find_budgets', text: FIND }, columns(keys)))
}

/** Takes the budgets for this transaction: until it ends nobody else promises or counts anything of them. */
export async function lockBudgets(tx: Queryable, keys: readonly BudgetKey[]): Promise<Budgets> {
  const values = columns(keys)
  await tx.query({ name: 'ensure_budgets', text: ENSURE }, values)
  return readRows(await tx.query<BudgetRow>({ name: 'lock_budgets', text: LOCK }, values))
}

/** Changes budgets that `lockBudgets` took, in one statement. */
export async function changeBudgets(tx: Queryable, changes: readonly BudgetChange[]): Promise<void> {
  const sums = new Map<string, BudgetChange>()
  for (const change of changes) {
    const sum = sums.get(nameOf(change))
    if (!sum) sums.set(nameOf(change), { ...change })
    else Object.assign(sum, { reserved: sum.reserved + change.reserved, sent: sum.sent + change.sent })
  }
  const real = [...sums.values()].filter(({ reserved, sent }) => reserved !== 0 || sent !== 0)
  if (real.length === 0) return
  const values = [...columns(real), real.map(({ reserved }) => reserved), real.map(({ sent }) => sent)]
  await tx.query({ name: 'change_budgets', text: CHANGE }, values)
}

type BudgetRow = BudgetKey & Budget

function readRows({ rows }: { rows: BudgetRow[] }): Budgets {
  const known = new Map(rows.map(({ reserved, sent, ...key }) => [nameOf(key), { reserved, sent }]))
  return { of: (key) => known.get(nameOf(key)) ?? { reserved: 0, sent: 0 } }
}

function columns(keys: readonly BudgetKey[]): unknown[] {
  const once = [...new Map(keys.map((key) => [nameOf(key), key])).values()]
  return [
    currentTenant(),
    once.map(({ scope }) => scope),
    once.map(({ scopeId }) => scopeId),
    once.map(({ day }) => day),
  ]
}

/** One name for a budget, to be looked up by. */
export function nameOf({ scope, scopeId, day }: BudgetKey): string {
  return `${scope} ${scopeId} ${day}`
}
