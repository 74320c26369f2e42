import { type Connection, findPage } from '#platform/database/pages.ts'
import type { Upload } from '#prisma/content'
import type { Database } from '../database.ts'

export type UploadRow = Upload

/** Uploads of the tenant in scope, newest first. */
export function findUploads(
  db: Database,
  page: { first?: number | null; after?: string | null },
): Promise<Connection<UploadRow>> {
  return findPage(db.tenant.upload, { sort: [{ field: 'createdAt', direction: 'desc' }], ...page })
}
