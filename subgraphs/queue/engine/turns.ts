import type pg from 'pg'
import { inTransaction, type Sql } from './sql.ts'

/** What is done by one process at a time; each has its row in chore_marks. */
export type TurnName = 'minute_metrics' | 'hour_metrics' | 'alerts'

/** How far it has got, and what time it is: the database's clock, which all processes share. */
export type Turn = { reachedAt: Date; now: Date }

const TAKE = `
  SELECT reached_at AS "reachedAt", clock_timestamp() AS now FROM chore_marks WHERE name = $1
  FOR NO KEY UPDATE SKIP LOCKED`

const MARK = 'UPDATE chore_marks SET reached_at = $2 WHERE name = $1'

/**
 * Does something unless another process is at it, in one transaction with the mark of how far it got: what `work`
 * answers as `reachedAt`, null to leave it. Null when it is another's turn. When several ask, all but one go on at once.
 * @param now instead of the database's clock
 */
export async function takeTurn<Answer extends { reachedAt: Date | null }>(
  pool: pg.Pool,
  name: TurnName,
  work: (tx: Sql, turn: Turn) => Promise<Answer>,
  now?: Date,
): Promise<Answer | null> {
  return inTransaction(pool, async (tx) => {
    const { rows } = await tx.query<Turn>(TAKE, [name])
    const [turn] = rows
    if (!turn) return null
    const answer = await work(tx, { reachedAt: turn.reachedAt, now: now ?? turn.now })
    if (answer.reachedAt) await tx.query(MARK, [name, answer.reachedAt])
    return answer
  })
}

/** Does what may fail within a transaction that goes on without it: `onFailure` says what its answer then is. */
export async function tryWithin<Answer>(
  tx: Sql,
  work: () => Promise<Answer>,
  onFailure: (error: unknown) => Answer,
): Promise<Answer> {
  await tx.query('SAVEPOINT before_try')
  try {
    const answer = await work()
    await tx.query('RELEASE SAVEPOINT before_try')
    return answer
  } catch (error) {
    await tx.query('ROLLBACK TO SAVEPOINT before_try')
    return onFailure(error)
  }
}
