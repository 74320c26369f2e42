import { AppError } from '#platform/errors.ts'
import type { Database } from '../../database.ts'
import { findUpload } from '../uploads.ts'
import { batchFiles, type StoredFileRow } from './storedFiles.ts'

/**
 * The file that an upload became; null when the tenant in scope has no such upload, or the file is past its time.
 * @throws AppError CONFLICT while it is not finalized
 */
export async function findUploadedFile(db: Database, uploadId: string): Promise<StoredFileRow | null> {
  const upload = await findUpload(db, uploadId)
  if (!upload) return null
  if (upload.state !== 'finalized' || upload.storageKey === null) {
    throw new AppError('CONFLICT', 'uploadId: this upload is not finalized')
  }
  const [file] = await batchFiles(db, [upload.storageKey])
  return file ?? null
}
