import DataLoader from 'dataloader'
import { findCurrentTenant } from '#platform/database/tenantScope.ts'
import type { Parts } from './context.ts'
import { type AttachmentRow, batchAttachments, batchAttachmentsOf } from './services/attachments.ts'
import { type BlobRef, batchBlobs, blobName } from './services/blobs.ts'
import { batchContentObjects, batchHeaders } from './services/contentObjects.ts'
import { batchFiles } from './services/files/storedFiles.ts'
import { batchNotifications } from './services/notifications.ts'
import { batchTransactionalEmails } from './services/transactionalEmails.ts'

export type Loaders = ReturnType<typeof makeLoaders>

/** As many as a page has: what one statement reads, and so what is in memory at once, stays bounded. */
const MAX_BODIES = 100

/**
 * Loaders of one request: what many parents ask in the same tick becomes one statement, whatever their number.
 * Nothing is found while no tenant is in scope (staff).
 */
export function makeLoaders({ db, keys }: Pick<Parts, 'db' | 'keys'>) {
  return {
    contentObjects: loader((storageKeys: readonly string[]) => batchContentObjects(db, storageKeys)),
    headers: loader((storageKeys: readonly string[]) => batchHeaders(db, storageKeys)),
    /** Texts and HTML alike: a query that asks for both reads them together. */
    blobs: new DataLoader<BlobRef, Buffer | null, string>((refs) => batchBlobs(db, keys, refs), {
      cacheKeyFn: blobName,
      maxBatchSize: 2 * MAX_BODIES,
    }),
    attachments: loader((ids: readonly string[]) => batchAttachments(db, ids)),
    attachmentsOf: new DataLoader<string, AttachmentRow[]>((storageKeys) => batchAttachmentsOf(db, storageKeys)),
    notifications: loader((ids: readonly string[]) => batchNotifications(db, ids)),
    files: loader((storageKeys: readonly string[]) => batchFiles(db, storageKeys)),
    transactionalEmails: loader((ids: readonly string[]) => batchTransactionalEmails(db, ids)),
  }
}

function loader<Row>(batch: (keys: readonly string[]) => Promise<(Row | null)[]>): DataLoader<string, Row | null> {
  return new DataLoader((keys) => (findCurrentTenant() === null ? Promise.resolve(keys.map(() => null)) : batch(keys)))
}
