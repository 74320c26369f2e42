import { createHmac } from 'node:crypto'
import { promisify } from 'node:util'
import {
  brotliCompress,
  brotliCompressSync,
  brotliDecompress,
  brotliDecompressSync,
  constants,
  gunzip,
} from 'node:zlib'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import type { Database } from '../database.ts'
import { seal, type TenantKey, type TenantKeys, unseal } from './tenantKeys.ts'

/** Bytes as they are stored: hashed, compressed, sealed. */
export type PackedBlob = {
  hash: Buffer
  codec: 'identity' | 'brotli'
  cipher: 'aes_256_gcm'
  rawSizeBytes: number
  bytes: Buffer
}

/** Names one blob of the tenant. */
export type BlobRef = { hash: Buffer; keyVersion: number }

const QUALITY = 5
/** Below it the frame of the codec costs more than it saves. */
const SMALLEST_COMPRESSED = 64
/** Compression that saves less is not worth undoing at every read. */
const WORTHWHILE = 0.95
/** From here on another thread does it; for less, handing it over takes longer (0.4 ms) than doing it (0.2 ms for 5 KB). */
const LARGE = 64 * 1024

const compressInThread = promisify(brotliCompress)
const decompressInThread = promisify(brotliDecompress)

/** Makes equal bytes of a tenant equal by hash, small, and unreadable without the tenant's key. */
export async function packBlob(bytes: Buffer, key: TenantKey): Promise<PackedBlob> {
  const hash = createHmac('sha256', key.hashKey).update(bytes).digest()
  const compressed = await compress(bytes)
  return {
    hash,
    codec: compressed ? 'brotli' : 'identity',
    cipher: 'aes_256_gcm',
    rawSizeBytes: bytes.length,
    bytes: seal(compressed ?? bytes, key.dataKey, hash),
  }
}

/** Compressed bytes; null when there is nothing to gain. */
async function compress(bytes: Buffer): Promise<Buffer | null> {
  if (bytes.length < SMALLEST_COMPRESSED) return null
  const options = {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: QUALITY,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
      // A window larger than the bytes only costs memory to set up.
      [constants.BROTLI_PARAM_LGWIN]: Math.min(22, Math.max(16, Math.ceil(Math.log2(bytes.length)))),
    },
  }
  const compressed = bytes.length < LARGE ? brotliCompressSync(bytes, options) : await compressInThread(bytes, options)
  return compressed.length < bytes.length * WORTHWHILE ? compressed : null
}

/** A blob as its table has it. */
export type BlobRow = {
  hash: Buffer
  key_version: number
  codec: string
  cipher: string
  raw_size_bytes: number
  bytes: Buffer | null
}

/**
 * The bytes of several blobs of the tenant in scope, in the order asked for; null for one that is not there.
 * @throws AppError INTERNAL when a blob cannot be read back as it was stored
 */
export async function batchBlobs(db: Database, keys: TenantKeys, refs: readonly BlobRef[]): Promise<(Buffer | null)[]> {
  const { rows } = await db.tenantSql.read<BlobRow>(
    `SELECT hash, key_version, codec, cipher, raw_size_bytes, bytes FROM content_blobs
     WHERE tenant_id = $1 AND hash = ANY($2::bytea[])`,
    [currentTenant(), [...new Map(refs.map(({ hash }) => [hash.toString('hex'), hash])).values()]],
  )
  const unpacked = await Promise.all(
    rows.map(
      async (row) => [blobName({ hash: row.hash, keyVersion: row.key_version }), await unpackBlob(row, keys)] as const,
    ),
  )
  const byName = new Map(unpacked)
  return refs.map((ref) => byName.get(blobName(ref)) ?? null)
}

/** A blob's name as text, for maps and caches. */
export function blobName({ hash, keyVersion }: BlobRef): string {
  return `${hash.toString('hex')}/${keyVersion}`
}

/**
 * Bytes of the tenant in scope as they were before `packBlob`.
 * @throws AppError INTERNAL when they cannot be read back as they were stored
 */
export async function unpackBlob(row: BlobRow, keys: TenantKeys): Promise<Buffer> {
  if (!row.bytes) throw new AppError('INTERNAL', 'the blob is in an object store, which this version cannot read')
  const { dataKey } = await keys.version(row.key_version)
  const compressed = row.cipher === 'none' ? row.bytes : unseal(row.bytes, dataKey, row.hash)
  const bytes = await decompress(compressed, row)
  if (bytes.length !== row.raw_size_bytes) throw new AppError('INTERNAL', 'a blob has not the size it was stored with')
  return bytes
}

async function decompress(bytes: Buffer, { codec, raw_size_bytes }: BlobRow): Promise<Buffer> {
  const options = { maxOutputLength: Math.max(raw_size_bytes, 1) }
  if (codec === 'identity') return bytes
  if (codec === 'brotli' && raw_size_bytes < LARGE) return brotliDecompressSync(bytes, options)
  if (codec === 'brotli') return decompressInThread(bytes, options)
  if (codec === 'gzip') return promisify(gunzip)(bytes, options)
  throw new AppError('INTERNAL', `the codec ${codec} is not known to this version`)
}
