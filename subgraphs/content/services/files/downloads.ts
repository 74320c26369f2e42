import type { Readable } from 'node:stream'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { batchAttachments } from '../attachments.ts'
import { batchBlobs } from '../blobs.ts'
import type { FileLink } from './fileLinks.ts'
import { streamFile } from './fileStreams.ts'
import { batchFiles, type FileStore } from './storedFiles.ts'

/** What is sent to whoever downloads something; `storageKey` names what is looked at. */
export type Download = {
  storageKey: string
  filename: string
  mimeType: string
  sizeBytes: number
  body: Buffer | Readable
}

/** What a link leads to, of the tenant in scope; null when it is gone, or a scanner has stopped it meanwhile. */
export function findDownload(store: FileStore, { does, target }: FileLink): Promise<Download | null> {
  return does === 'attached' ? findAttached(store, target) : findFile(store, target)
}

async function findFile(store: FileStore, storageKey: string): Promise<Download | null> {
  const [file] = await batchFiles(store.db, [storageKey])
  return file ? { ...file, body: streamFile(store, currentTenant(), file) } : null
}

/** Mails are no larger than memory has room for, and so is what is attached to them. */
async function findAttached({ db, keys }: FileStore, id: string): Promise<Download | null> {
  const [file] = await batchAttachments(db, [id])
  if (!file || file.scanStatus === 'infected') return null
  const [body] = await batchBlobs(db, keys, [{ hash: Buffer.from(file.blobHash), keyVersion: file.keyVersion }])
  return body ? { ...file, body } : null
}
