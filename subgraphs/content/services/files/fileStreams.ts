import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { v7 as uuidv7 } from 'uuid'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import type { StoredFileRow } from './storedFiles.ts'
import { completeFile, type FileStore, findPart, openFile, PART_BYTES, removeFile, writePart } from './storedFiles.ts'

/** What the bytes that come have to be. */
export type ExpectedFile = {
  filename: string
  mimeType: string
  sizeBytes: number
  /** SHA-256, in hex. */
  hash: string | null
  keepDays: number
}

/**
 * Stores bytes as they come, a part at a time, and answers the file. If they are not what was expected, or end early,
 * nothing of them is kept.
 * @throws AppError INVALID_INPUT when size or hash are not as expected; whatever the source throws
 */
export async function storeStream(
  store: FileStore,
  { prefix, ...expected }: ExpectedFile & { prefix: string },
  source: AsyncIterable<Buffer>,
): Promise<StoredFileRow> {
  const storageKey = `${prefix}/${uuidv7()}`
  await openFile(store, { ...expected, storageKey })
  try {
    const partCount = await writeParts(store, storageKey, checked(source, expected))
    return await completeFile(store, { storageKey, partCount })
  } catch (error) {
    await removeFile(store, storageKey)
    throw error
  }
}

async function writeParts(store: FileStore, storageKey: string, source: AsyncIterable<Buffer>): Promise<number> {
  let position = 0
  let held: Buffer[] = []
  let size = 0
  const write = async (bytes: Buffer) => {
    await writePart(store, { storageKey, position, bytes })
    position += 1
  }
  for await (const chunk of source) {
    held.push(chunk)
    size += chunk.length
    if (size < PART_BYTES) continue
    const whole = Buffer.concat(held)
    let from = 0
    for (; whole.length - from >= PART_BYTES; from += PART_BYTES) await write(whole.subarray(from, from + PART_BYTES))
    held = [whole.subarray(from)]
    size = whole.length - from
  }
  if (size > 0) await write(Buffer.concat(held))
  return position
}

async function* checked(source: AsyncIterable<Buffer>, { sizeBytes, hash }: ExpectedFile): AsyncGenerator<Buffer> {
  const digest = createHash('sha256')
  let size = 0
  for await (const chunk of source) {
    size += chunk.length
    if (size > sizeBytes) throw new AppError('INVALID_INPUT', `more than the ${sizeBytes} bytes that were announced`)
    digest.update(chunk)
    yield chunk
  }
  if (size !== sizeBytes) throw new AppError('INVALID_INPUT', `${size} bytes, not the ${sizeBytes} that were announced`)
  if (hash !== null && digest.digest('hex') !== hash) {
    throw new AppError('INVALID_INPUT', 'the bytes are not those that were announced: their SHA-256 differs')
  }
}

/** A complete file's bytes, read a part at a time as they are taken. */
export function streamFile(store: FileStore, tenantId: string, { storageKey, partCount }: StoredFileRow): Readable {
  async function* parts() {
    for (let position = 0; position < partCount; position++) {
      const part = await runAsTenant(tenantId, () => findPart(store, { storageKey, position }))
      if (!part) throw new AppError('NOT_FOUND', 'the file is gone')
      yield part
    }
  }
  return Readable.from(parts(), { objectMode: false, highWaterMark: PART_BYTES })
}
