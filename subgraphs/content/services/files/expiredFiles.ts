import type pg from 'pg'
import type { Log } from '#platform/log.ts'

const CHECK_EVERY_MS = 3_600_000
/** Files removed in one transaction. */
const AT_ONCE = 20

const EXPIRED = `
  SELECT tenant_id, storage_key FROM stored_files WHERE expires_at < now()
  ORDER BY expires_at LIMIT ${AT_ONCE} FOR UPDATE SKIP LOCKED`

const REMOVE = (table: string) => `
  DELETE FROM ${table} t USING unnest($1::uuid[], $2::text[]) AS gone(tenant_id, storage_key)
  WHERE t.tenant_id = gone.tenant_id AND t.storage_key = gone.storage_key`

/** Removes files past their time, of all tenants, now and every hour; a failure is logged, and tried again then. */
export function removeExpiredFiles(systemSql: pg.Pool, log: Log): { stop: () => void } {
  const check = async () => {
    let removed = 0
    for (let count = AT_ONCE; count === AT_ONCE; removed += count) count = await removeSome(systemSql)
    const late = "UPDATE uploads SET state = 'expired' WHERE state IN ('pending', 'received') AND expires_at < now()"
    await systemSql.query(late)
    if (removed > 0) log.info({ removed }, 'files past their time were removed')
  }
  const tryCheck = () =>
    check().catch((error: unknown) => log.warn({ err: error }, 'files past their time could not be removed'))
  const timer = setInterval(tryCheck, CHECK_EVERY_MS)
  timer.unref()
  void tryCheck()
  return { stop: () => clearInterval(timer) }
}

async function removeSome(systemSql: pg.Pool): Promise<number> {
  const client = await systemSql.connect()
  try {
    await client.query('BEGIN')
    const { rows } = await client.query<{ tenant_id: string; storage_key: string }>(EXPIRED)
    const keys = [rows.map((row) => row.tenant_id), rows.map((row) => row.storage_key)]
    for (const table of ['stored_file_parts', 'stored_files']) await client.query(REMOVE(table), keys)
    await client.query('COMMIT')
    return rows.length
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {})
    throw error
  } finally {
    client.release()
  }
}
