import { currentTenant } from '#platform/database/tenantScope.ts'
import type { Database } from '../database.ts'

/** How much a tenant has stored, in bytes. */
export type TenantStorage = {
  objectCount: number
  attachmentCount: number
  rawBytes: bigint
  storedBytes: bigint
  dedupSavedBytes: bigint
  compressionSavedBytes: bigint
  byRetention: { retentionDays: number; objectCount: number; rawBytes: bigint; storedBytes: bigint }[]
}

type ObjectSums = { days: number; objects: number; files: number; raw: string; stored: string }
type BlobSums = { stored: string; repeated: string; squeezed: string }

/** Adds up what the tenant in scope has stored: two statements, from indexes alone. */
export async function getStorage(db: Database): Promise<TenantStorage> {
  const tenant = [currentTenant()]
  const [objects, blobs] = await Promise.all([
    db.tenantSql.query<ObjectSums>(
      `SELECT retention_days AS days, count(*)::int AS objects, sum(attachment_count)::int AS files,
         sum(raw_size_bytes) AS raw, sum(stored_size_bytes) AS stored
       FROM content_objects WHERE tenant_id = $1 GROUP BY retention_days ORDER BY retention_days`,
      tenant,
    ),
    db.tenantSql.query<BlobSums>(
      `SELECT coalesce(sum(stored_size_bytes), 0) AS stored,
         coalesce(sum(stored_size_bytes * greatest(reference_count - 1, 0)::bigint), 0) AS repeated,
         coalesce(sum(raw_size_bytes - stored_size_bytes), 0) AS squeezed
       FROM content_blobs WHERE tenant_id = $1`,
      tenant,
    ),
  ])
  const byRetention = objects.rows.map((row) => ({
    retentionDays: row.days,
    objectCount: row.objects,
    rawBytes: BigInt(row.raw),
    storedBytes: BigInt(row.stored),
  }))
  const sums = blobs.rows[0] as BlobSums
  return {
    objectCount: objects.rows.reduce((sum, row) => sum + row.objects, 0),
    attachmentCount: objects.rows.reduce((sum, row) => sum + row.files, 0),
    rawBytes: byRetention.reduce((sum, row) => sum + row.rawBytes, 0n),
    storedBytes: BigInt(sums.stored),
    dedupSavedBytes: BigInt(sums.repeated),
    compressionSavedBytes: BigInt(sums.squeezed),
    byRetention,
  }
}
