import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import type { Database } from '../database.ts'

const MAX_IDS = 100

const SHOWN = `tenant_id = $1 AND user_id = $2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > now())`

// Held in the order of their ids, so that two who mark the same do not wait for each other.
const HOLD = `SELECT id FROM notifications WHERE ${SHOWN} AND id = ANY($3::uuid[]) ORDER BY id FOR NO KEY UPDATE`
const MARK = `
  UPDATE notifications SET is_read = true, read_at = now()
  WHERE tenant_id = $1 AND user_id = $2 AND id = ANY($3::uuid[]) AND NOT is_read`
const MARK_ALL = `
  WITH unread AS (
    SELECT id FROM notifications WHERE ${SHOWN} AND NOT is_read AND created_at < coalesce($3, 'infinity'::timestamptz)
    ORDER BY id FOR NO KEY UPDATE)
  UPDATE notifications n SET is_read = true, read_at = now()
  FROM unread WHERE n.tenant_id = $1 AND n.id = unread.id AND NOT n.is_read`

/**
 * Marks what a user of the tenant in scope was told as read; what is read stays as it is. Answers the ids, each once.
 * @throws AppError NOT_FOUND for an unknown id or another user's: nothing is changed then; LIMIT_REACHED above 100 ids;
 *         INVALID_INPUT
 */
export async function markNotificationsRead(db: Database, userId: string, given: readonly string[]): Promise<string[]> {
  if (given.length === 0) throw new AppError('INVALID_INPUT', 'ids: is empty')
  if (given.length > MAX_IDS) throw new AppError('LIMIT_REACHED', `ids: at most ${MAX_IDS} at a time`)
  const ids = [...new Set(given.map((id) => readId(id, 'ids')))]
  await db.tenantSql.transaction(async (tx) => {
    const { rowCount } = await tx.query(HOLD, [currentTenant(), userId, ids])
    if (rowCount !== ids.length) throw new AppError('NOT_FOUND', 'ids: there is no such notification')
    await tx.query(MARK, [currentTenant(), userId, ids])
  })
  return ids
}

/** Marks all that a user of the tenant in scope was told, before an instant if one is given, as read; answers how much. */
export async function markAllNotificationsRead(db: Database, userId: string, before?: Date | null): Promise<number> {
  const { rowCount } = await db.tenantSql.query(MARK_ALL, [currentTenant(), userId, before ?? null])
  return rowCount ?? 0
}
