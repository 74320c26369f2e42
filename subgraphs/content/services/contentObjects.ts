import { currentTenant } from '#platform/database/tenantScope.ts'
import type { Database } from '../database.ts'
import { isStorageKey } from './storageKeys.ts'

/** What is known of a stored mail without opening it. */
export type ContentRow = {
  storageKey: string
  keyVersion: number
  textHash: Buffer | null
  htmlHash: Buffer | null
  rawSizeBytes: number
  storedSizeBytes: number
  contentHash: string
  parseStatus: 'parsed' | 'partial' | 'unparsed'
  parseProblems: string[]
  attachmentCount: number
  retentionDays: number
  expiresAt: Date
  isArchived: boolean
  archivedAt: Date | null
  legalHold: boolean
  lastAccessedAt: Date | null
  createdAt: Date
}

const COLUMNS = `storage_key AS "storageKey", key_version AS "keyVersion", text_hash AS "textHash", html_hash AS "htmlHash",
  raw_size_bytes AS "rawSizeBytes", stored_size_bytes AS "storedSizeBytes", content_hash AS "contentHash",
  parse_status AS "parseStatus", parse_problems AS "parseProblems", attachment_count AS "attachmentCount",
  retention_days AS "retentionDays", expires_at AS "expiresAt", is_archived AS "isArchived", archived_at AS "archivedAt",
  legal_hold AS "legalHold", last_accessed_at AS "lastAccessedAt", created_at AS "createdAt"`

/** Stored mails of the tenant in scope, in the order asked for; null for a key it does not have. */
export async function batchContentObjects(
  db: Database,
  storageKeys: readonly string[],
): Promise<(ContentRow | null)[]> {
  const { rows } = await db.tenantSql.read<ContentRow>(
    `SELECT ${COLUMNS} FROM content_objects WHERE tenant_id = $1 AND storage_key = ANY($2::text[])`,
    [currentTenant(), storageKeys.filter(isStorageKey)],
  )
  const byKey = new Map(rows.map((row) => [row.storageKey, row]))
  return storageKeys.map((key) => byKey.get(key) ?? null)
}

/** Their headers: apart, as they are larger than all the rest of the row. */
export async function batchHeaders(db: Database, storageKeys: readonly string[]): Promise<unknown[]> {
  const { rows } = await db.tenantSql.read<{ storage_key: string; headers: unknown }>(
    'SELECT storage_key, headers FROM content_objects WHERE tenant_id = $1 AND storage_key = ANY($2::text[])',
    [currentTenant(), storageKeys.filter(isStorageKey)],
  )
  const byKey = new Map(rows.map((row) => [row.storage_key, row.headers]))
  return storageKeys.map((key) => byKey.get(key) ?? null)
}
