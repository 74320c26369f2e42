import type { Queryable, TransactionOptions } from '#platform/database/tenantPool.ts'
import type { Context } from '../../context.ts'
import { changeAddressLoads } from './addressLoads.ts'
import { writeAgenda } from './agenda.ts'
import { changeBudgets, lockBudgets } from './budgets.ts'
import { beginEnding, type Ending } from './ending.ts'

type Parts = Pick<Context, 'db' | 'requestId'> & Partial<Pick<Context, 'log'>>

/**
 * Runs `work` in a transaction that may fail queued mail and call the planner: budgets and agenda are written at its end,
 * each in one order, so that nobody who waits for them holds what another needs (see README.md). What addresses get back
 * is theirs after the commit: a crash in between loses it for that day.
 */
export async function transact<Result>(
  { db, requestId, log }: Parts,
  work: (tx: Queryable) => Promise<Result>,
  options: TransactionOptions = {},
): Promise<Result> {
  let addresses: Ending['addresses'] = []
  const result = await db.tenantSql.transaction(async (tx) => {
    const ending = beginEnding(tx)
    const done = await work(tx)
    if (ending.budgets.length > 0) {
      await lockBudgets(tx, ending.budgets)
      await changeBudgets(tx, ending.budgets)
    }
    await writeAgenda(tx, ending.agenda, requestId)
    addresses = ending.addresses
    return done
  }, options)
  // It is done: that its addresses have less room today is no reason to say that it failed.
  await changeAddressLoads(db.systemSql, addresses).catch((error: unknown) => {
    log?.warn({ err: error, addresses: addresses.length }, 'promises of addresses were not given back')
  })
  return result
}
