import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import type { Database } from '../../database.ts'
import { safeFilename } from '../attachmentFiles.ts'
import { type BlobRow, packBlob, unpackBlob } from '../blobs.ts'
import { isStorageKey, requireStorageKey } from '../storageKeys.ts'
import type { TenantKeys } from '../tenantKeys.ts'

/** What is known of a complete file without opening it. */
export type StoredFileRow = {
  storageKey: string
  filename: string
  mimeType: string
  sizeBytes: number
  partCount: number
  createdAt: Date
  expiresAt: Date
}

export type FileStore = { db: Database; keys: TenantKeys }

/** The largest part, in bytes: what a process holds of a file at any moment. */
export const PART_BYTES = 1024 * 1024

/** A file that was begun and not completed is gone after a day. */
const UNFINISHED = "interval '1 day'"

const COLUMNS = `storage_key AS "storageKey", filename, mime_type AS "mimeType", size_bytes::float8 AS "sizeBytes",
  part_count AS "partCount", created_at AS "createdAt", expires_at AS "expiresAt"`

// Of two writers of one part the later wins, until the file is complete.
const OPEN = `
  INSERT INTO stored_files AS f (tenant_id, storage_key, filename, mime_type, keep_days, expires_at)
  VALUES ($1, $2, $3, $4, $5, now() + ${UNFINISHED})
  ON CONFLICT (tenant_id, storage_key) DO UPDATE SET filename = excluded.filename WHERE f.state = 'writing'`

const WRITE_PART = `
  INSERT INTO stored_file_parts (tenant_id, storage_key, position, hash, key_version, codec, cipher, raw_size_bytes,
    stored_size_bytes, bytes)
  SELECT f.tenant_id, f.storage_key, $3, $4, $5, $6, $7, $8, $9, $10 FROM stored_files f
  WHERE f.tenant_id = $1 AND f.storage_key = $2 AND f.state = 'writing' FOR SHARE
  ON CONFLICT (tenant_id, storage_key, position) DO UPDATE
    SET hash = excluded.hash, key_version = excluded.key_version, codec = excluded.codec, cipher = excluded.cipher,
        raw_size_bytes = excluded.raw_size_bytes, stored_size_bytes = excluded.stored_size_bytes, bytes = excluded.bytes`

const COMPLETE = `
  UPDATE stored_files f
  SET state = 'complete', part_count = $3, size_bytes = parts.raw, stored_size_bytes = parts.stored, completed_at = now(),
      expires_at = now() + make_interval(days => f.keep_days)
  FROM (SELECT count(*)::int AS count, coalesce(sum(raw_size_bytes), 0) AS raw, coalesce(sum(stored_size_bytes), 0) AS stored
        FROM stored_file_parts WHERE tenant_id = $1 AND storage_key = $2 AND position < $3) AS parts
  WHERE f.tenant_id = $1 AND f.storage_key = $2 AND f.state = 'writing' AND parts.count = $3`

/** How a file is to be called and for how many days it is kept once it is complete. */
export type FileFacts = { storageKey: string; filename: string; mimeType: string; keepDays: number }

/**
 * Begins a file of the tenant in scope, or goes on with one that was begun.
 * @throws AppError INVALID_INPUT for a bad key; CONFLICT when it is complete
 */
export async function openFile({ db }: FileStore, { storageKey, filename, mimeType, keepDays }: FileFacts) {
  const name = safeFilename(filename) ?? 'file'
  const values = [currentTenant(), requireStorageKey(storageKey), name, mimeType, keepDays]
  const { rowCount } = await db.tenantSql.query(OPEN, values)
  if (rowCount === 0) throw new AppError('CONFLICT', 'storageKey: this file is complete')
}

/**
 * Writes a part of a file that was begun; the same position again takes the place of the first.
 * @throws AppError INVALID_INPUT for one that is empty, too large or at no place; CONFLICT when no such file is being written
 */
export async function writePart(
  { db, keys }: FileStore,
  { storageKey, position, bytes }: { storageKey: string; position: number; bytes: Buffer },
): Promise<void> {
  if (bytes.length === 0 || bytes.length > PART_BYTES) {
    throw new AppError('INVALID_INPUT', `bytes: a part has 1 to ${PART_BYTES} bytes`)
  }
  if (position < 0) throw new AppError('INVALID_INPUT', 'position: begins with 0')
  const key = await keys.current()
  const { hash, codec, cipher, rawSizeBytes, bytes: sealed } = await packBlob(bytes, key)
  const place = [currentTenant(), requireStorageKey(storageKey), position]
  const values = [...place, hash, key.version, codec, cipher, rawSizeBytes, sealed.length, sealed]
  const { rowCount } = await db.tenantSql.query({ name: 'write_file_part', text: WRITE_PART }, values)
  if (rowCount === 0) throw new AppError('CONFLICT', 'storageKey: no such file is being written')
}

/**
 * Closes a file of so many parts: from now on it can be read, and not be changed. Parts beyond them go. A repeat changes
 * nothing.
 * @throws AppError CONFLICT when a part is missing
 */
export async function completeFile(
  { db }: FileStore,
  { storageKey, partCount }: { storageKey: string; partCount: number },
): Promise<StoredFileRow> {
  const place = [currentTenant(), requireStorageKey(storageKey)]
  await db.tenantSql.transaction(async (tx) => {
    const { rowCount } = await tx.query(COMPLETE, [...place, partCount])
    if (rowCount === 0) return
    const beyond = 'DELETE FROM stored_file_parts WHERE tenant_id = $1 AND storage_key = $2 AND position >= $3'
    await tx.query(beyond, [...place, partCount])
  })
  const [file] = await batchFiles(db, [storageKey])
  if (!file || file.partCount !== partCount) throw new AppError('CONFLICT', 'storageKey: the file is not all there')
  return file
}

/** Complete files of the tenant in scope that are not past their time, in the order asked for; null for others. */
export async function batchFiles(db: Database, storageKeys: readonly string[]): Promise<(StoredFileRow | null)[]> {
  const { rows } = await db.tenantSql.query<StoredFileRow>(
    `SELECT ${COLUMNS} FROM stored_files
     WHERE tenant_id = $1 AND storage_key = ANY($2::text[]) AND state = 'complete' AND expires_at > now()`,
    [currentTenant(), storageKeys.filter(isStorageKey)],
  )
  const byKey = new Map(rows.map((row) => [row.storageKey, row]))
  return storageKeys.map((key) => byKey.get(key) ?? null)
}

/** A part of a complete file as it was written; null when there is none at that place. */
export async function findPart(
  { db, keys }: FileStore,
  { storageKey, position }: { storageKey: string; position: number },
): Promise<Buffer | null> {
  if (!isStorageKey(storageKey)) return null
  const { rows } = await db.tenantSql.query<BlobRow>(
    `SELECT p.hash, p.key_version, p.codec, p.cipher, p.raw_size_bytes, p.bytes
     FROM stored_file_parts p JOIN stored_files f USING (tenant_id, storage_key)
     WHERE p.tenant_id = $1 AND p.storage_key = $2 AND p.position = $3 AND f.state = 'complete' AND f.expires_at > now()`,
    [currentTenant(), storageKey, position],
  )
  return rows[0] ? unpackBlob(rows[0], keys) : null
}

/** Removes a file and all its parts. */
export async function removeFile({ db }: FileStore, storageKey: string): Promise<void> {
  await db.tenantSql.transaction(async (tx) => {
    for (const table of ['stored_file_parts', 'stored_files']) {
      await tx.query(`DELETE FROM ${table} WHERE tenant_id = $1 AND storage_key = $2`, [currentTenant(), storageKey])
    }
  })
}
