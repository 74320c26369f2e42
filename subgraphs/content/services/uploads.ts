import { v7 as uuidv7 } from 'uuid'
import type { CreateUploadInput } from '#graphql/content'
import { makeRepeatable, rememberAnswer } from '#platform/database/idempotency.ts'
import { type Connection, findPage } from '#platform/database/pages.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { isUuid, readId } from '#platform/graph/ids.ts'
import { audit } from '#platform/outbox/announce.ts'
import type { Upload } from '#prisma/content'
import type { Database } from '../database.ts'
import { safeFilename } from './attachmentFiles.ts'
import { storeStream } from './files/fileStreams.ts'
import { type FileStore, removeFile } from './files/storedFiles.ts'

export type UploadRow = Upload

/** How long an address for an upload is good, and what was uploaded waits to be finalized. */
const LIFETIME_MS = 3_600_000

/** A file that was uploaded is there to be read by a job, which comes soon. */
const KEEP_DAYS = 7

const MIME_TYPE = /^[a-z0-9][\w.+-]*\/[a-z0-9][\w.+-]*$/i

const INSERT = `
  INSERT INTO uploads (tenant_id, id, user_id, filename, expected_mime_type, expected_size_bytes, expected_hash, expires_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`

const FINALIZE = `
  UPDATE uploads SET state = 'finalized', finalized_at = now() WHERE tenant_id = $1 AND id = $2 AND state = 'received'`

/** Who uploads, and the request in which they say so: for the audit log. */
export type Uploader = { userId: string; requestId: string }

/** Uploads of the tenant in scope, newest first. */
export function findUploads(
  db: Database,
  page: { first?: number | null; after?: string | null },
): Promise<Connection<UploadRow>> {
  return findPage(db.tenant.upload, { sort: [{ field: 'createdAt', direction: 'desc' }], ...page })
}

/** An upload of the tenant in scope by id; null for one it does not have. */
export async function findUpload(db: Database, id: string): Promise<UploadRow | null> {
  return isUuid(id) ? db.tenant.upload.findFirst({ where: { id: id.toLowerCase() } }) : null
}

/**
 * Announces a file that a user is about to send. Repeating an `idempotencyKey` answers the first upload again.
 * @param maxBytes largest file
 * @throws AppError INVALID_INPUT; LIMIT_REACHED for a file that is too large; CONFLICT for a key used with another input
 */
export async function createUpload(
  db: Database,
  { userId, requestId }: Uploader,
  input: CreateUploadInput,
  maxBytes: number,
): Promise<UploadRow> {
  const filename = safeFilename(input.filename)
  if (!filename) throw new AppError('INVALID_INPUT', 'filename: is no name of a file')
  const mimeType = input.mimeType.toLowerCase()
  if (!MIME_TYPE.test(mimeType) || mimeType.length > 255) throw new AppError('INVALID_INPUT', 'mimeType: is no type')
  const hash = input.sha256?.toLowerCase() ?? null
  if (hash !== null && !/^[0-9a-f]{64}$/.test(hash)) throw new AppError('INVALID_INPUT', 'sha256: is not 64 hex digits')
  if (input.sizeBytes < 1) throw new AppError('INVALID_INPUT', 'sizeBytes: an upload has at least 1 byte')
  if (input.sizeBytes > maxBytes) {
    throw new AppError('LIMIT_REACHED', `sizeBytes: at most ${maxBytes} bytes`, { extensions: { limit: maxBytes } })
  }
  const asked = [userId, filename, mimeType, String(input.sizeBytes), hash]
  const request = makeRepeatable(input.idempotencyKey, 'createUpload', asked)
  const made = { uploadId: uuidv7() }
  const { uploadId } = await db.tenantSql.transaction(async (tx) => {
    const earlier = request && (await rememberAnswer(tx, request, made))
    if (earlier) return earlier
    const expiresAt = new Date(Date.now() + LIFETIME_MS)
    const facts = [userId, filename, mimeType, input.sizeBytes, hash, expiresAt]
    await tx.query(INSERT, [currentTenant(), made.uploadId, ...facts])
    await audit(tx, {
      ...describeUpload(made.uploadId, { userId, requestId }),
      action: 'upload.create',
      newValues: { mimeType, sizeBytes: input.sizeBytes },
    })
    return made
  })
  return getUpload(db, uploadId)
}

/**
 * Takes the bytes of an announced upload, in the tenant in scope. If they are not what was announced, or break off,
 * nothing of them is kept and they can be sent again.
 * @throws AppError NOT_FOUND for an upload past its time; CONFLICT for one whose bytes are there; INVALID_INPUT
 */
export async function receiveUpload(store: FileStore, id: string, bytes: AsyncIterable<Buffer>): Promise<void> {
  const upload = await getUpload(store.db, id)
  if (upload.expiresAt <= new Date()) throw new AppError('NOT_FOUND', 'the upload is past its time')
  if (upload.state !== 'pending') throw new AppError('CONFLICT', 'the bytes of this upload are there')
  const { filename, expectedMimeType: mimeType, expectedSizeBytes: sizeBytes, expectedHash: hash } = upload
  const facts = { filename, mimeType, sizeBytes, hash, keepDays: KEEP_DAYS, prefix: `upload/${id}` }
  const { storageKey } = await storeStream(store, facts, bytes)
  const { count } = await store.db.tenant.upload.updateMany({
    where: { id, state: 'pending' },
    data: { state: 'received', storageKey },
  })
  if (count === 1) return
  await removeFile(store, storageKey)
  throw new AppError('CONFLICT', 'the bytes of this upload came twice at once')
}

/**
 * Says that an upload is complete: from now on it can be worked with. A repeat changes nothing.
 * @throws AppError NOT_FOUND; INVALID_INPUT; CONFLICT while its bytes are not there
 */
export async function finalizeUpload(db: Database, by: Uploader, uploadId: string): Promise<UploadRow> {
  const id = readId(uploadId, 'id')
  await db.tenantSql.transaction(async (tx) => {
    const { rowCount } = await tx.query(FINALIZE, [currentTenant(), id])
    if (rowCount === 1) await audit(tx, { ...describeUpload(id, by), action: 'upload.finalize' })
  })
  const upload = await getUpload(db, id)
  if (upload.state !== 'finalized') throw new AppError('CONFLICT', 'id: the bytes of this upload are not there')
  return upload
}

function describeUpload(resourceId: string, { userId, requestId }: Uploader) {
  const resourceType = 'Upload'
  return { tenantId: currentTenant(), correlationId: requestId, adminUserId: userId, resourceType, resourceId }
}

async function getUpload(db: Database, id: string): Promise<UploadRow> {
  const upload = await findUpload(db, id)
  if (!upload) throw new AppError('NOT_FOUND', 'there is no such upload')
  return upload
}
