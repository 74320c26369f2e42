import type { ServiceClient } from '#platform/graph/serviceClient.ts'

const UPLOADED_FILE = `query UploadedFile($uploadId: ID!) {
  uploadedFile(uploadId: $uploadId) { storageKey filename sizeBytes }
}`
const STORE_FILE = `mutation StoreFile($part: WriteFilePartInput!, $file: CompleteFileInput!) {
  writeFilePart(input: $part) { position }
  completeFile(input: $file) { sizeBytes }
}`

/** A list that came within a request is read soon; it is kept to be looked at when rows were refused. */
const KEEP_DAYS = 7

type OnBehalf = { tenantId: string; requestId: string }

/**
 * What a finalized upload became; null for an unknown one.
 * @throws AppError CONFLICT for one that is not finalized; UNAVAILABLE
 */
export async function findUploadedFile(content: ServiceClient, uploadId: string, on: OnBehalf) {
  type Answer = { uploadedFile: { storageKey: string; filename: string; sizeBytes: number } | null }
  const { uploadedFile } = await content.request<Answer>(UPLOADED_FILE, { uploadId }, on)
  return uploadedFile
}

/**
 * Has the content tier keep a short list, of one part.
 * @throws AppError UNAVAILABLE
 */
export async function storeText(
  content: ServiceClient,
  { storageKey, filename, bytes }: { storageKey: string; filename: string; bytes: Buffer },
  on: OnBehalf,
): Promise<void> {
  const facts = { storageKey, filename, mimeType: 'text/csv', keepDays: KEEP_DAYS }
  const part = { ...facts, position: 0, bytes: bytes.toString('base64') }
  await content.request(STORE_FILE, { part, file: { storageKey, partCount: 1 } }, on)
}
