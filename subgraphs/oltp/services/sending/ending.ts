import type { Queryable } from '#platform/database/tenantPool.ts'
import type { AddressDay } from './addressLoads.ts'
import type { BudgetChange } from './budgets.ts'

/** By campaign: when the planner is to look at it, null for not at all; at the latest then, or instead of what it was told. */
export type Agenda = Map<string, { at: Date | null; replaces: boolean }>

/** What a transaction does when all else is done, and once it is committed. */
export type Ending = {
  budgets: BudgetChange[]
  agenda: Agenda
  addresses: (AddressDay & { reserved: number; sent: number })[]
}

const endings = new WeakMap<Queryable, Ending>()

/** Begins a transaction's ending; for `transact` alone. */
export function beginEnding(tx: Queryable): Ending {
  const ending: Ending = { budgets: [], agenda: new Map(), addresses: [] }
  endings.set(tx, ending)
  return ending
}

/** The ending of a transaction that `transact` runs. */
export function endingOf(tx: Queryable): Ending {
  const ending = endings.get(tx)
  if (!ending) throw new Error('only within transact()')
  return ending
}
