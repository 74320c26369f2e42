import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import type { Database } from '../database.ts'
import { batchBlobs } from './blobs.ts'
import { isStorageKey } from './storageKeys.ts'
import type { TenantKeys } from './tenantKeys.ts'

/** Mails of one call: all of them are in memory at once. */
const MAX_MESSAGES = 50

const FIND = `
  SELECT storage_key AS "storageKey", raw_hash AS hash, key_version AS "keyVersion" FROM content_objects
  WHERE tenant_id = $1 AND storage_key = ANY($2::text[])`

/**
 * The original bytes of mails of the tenant in scope, in base64, in the order asked for; null for one that is not there.
 * @throws AppError LIMIT_REACHED above 50; INTERNAL when one cannot be read back
 */
export async function findRawMessages(
  { db, keys }: { db: Database; keys: TenantKeys },
  storageKeys: readonly string[],
): Promise<({ storageKey: string; raw: string } | null)[]> {
  if (storageKeys.length > MAX_MESSAGES) throw new AppError('LIMIT_REACHED', `storageKeys: at most ${MAX_MESSAGES}`)
  type Row = { storageKey: string; hash: Buffer; keyVersion: number }
  const values = [currentTenant(), storageKeys.filter(isStorageKey)]
  const { rows } = await db.tenantSql.query<Row>(FIND, values)
  const blobs = await batchBlobs(db, keys, rows)
  const byKey = new Map(rows.map(({ storageKey }, index) => [storageKey, blobs[index]]))
  return storageKeys.map((storageKey) => {
    const bytes = byKey.get(storageKey)
    return bytes ? { storageKey, raw: bytes.toString('base64') } : null
  })
}
