import { currentTenant } from '#platform/database/tenantScope.ts'
import type { Database } from '../database.ts'
import type { PackedBlob } from './blobs.ts'
import { storableJson } from './mailText.ts'
import type { PackedMessage } from './messagePacking.ts'
import type { TenantKey } from './tenantKeys.ts'

/**
 * A group of mails in one statement, hence one transaction and one round trip. What makes it right:
 * - Only mails whose key was not there (`stored`) count references: a repeat, also a concurrent one, changes nothing.
 * - Rows are locked in the order of their keys, objects before blobs, so that two writers never wait for each other.
 * - A mail is kept for 2,555 days unless the tenant's policy says less.
 * - Foreign keys are checked at the statement's end, so an object may come before its blobs.
 * The bytes of all blobs travel as one parameter, in binary; `at` and `size` say which part is whose.
 */
const INSERT_MESSAGES = `
  WITH messages AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($3::jsonb) AS m(
      id uuid, storage_key text, raw_hash text, text_hash text, html_hash text, headers jsonb, envelope jsonb,
      parse_status text, parse_problems jsonb, raw_size int, stored_size int, files jsonb)
  ), kept AS (
    SELECT least(2555, (SELECT retention_days FROM retention_policies
      WHERE tenant_id = $1 AND content_type = 'email' AND is_active ORDER BY priority, id LIMIT 1)) AS days
  ), stored AS (
    INSERT INTO content_objects (tenant_id, id, storage_key, key_version, raw_hash, text_hash, html_hash, headers,
      envelope, parse_status, parse_problems, raw_size_bytes, stored_size_bytes, content_hash, attachment_count,
      retention_days, expires_at)
    SELECT $1, id, storage_key, $2, decode(raw_hash, 'hex'), decode(text_hash, 'hex'), decode(html_hash, 'hex'), headers,
      envelope, parse_status, ARRAY(SELECT jsonb_array_elements_text(parse_problems)), raw_size, stored_size, raw_hash,
      jsonb_array_length(files), kept.days, now() + make_interval(days => kept.days)
    FROM messages, kept ORDER BY storage_key
    ON CONFLICT (tenant_id, storage_key) DO NOTHING
    RETURNING storage_key
  ), searched AS (
    INSERT INTO content_search (tenant_id, storage_key) SELECT $1, storage_key FROM stored ORDER BY storage_key
  ), files AS MATERIALIZED (
    SELECT m.storage_key, f.* FROM messages m JOIN stored USING (storage_key),
      jsonb_to_recordset(m.files) AS f(id uuid, position int, filename text, mime_type text, declared_mime_type text,
        size int, disposition text, content_id text, hash text)
  ), used AS (
    SELECT hash, count(*)::int AS times FROM (
      SELECT unnest(ARRAY[raw_hash, text_hash, html_hash]) AS hash FROM messages JOIN stored USING (storage_key)
      UNION ALL
      SELECT hash FROM files
    ) AS part WHERE hash IS NOT NULL GROUP BY hash
  ), blobs AS (
    INSERT INTO content_blobs (tenant_id, hash, key_version, codec, cipher, raw_size_bytes, stored_size_bytes, bytes,
      reference_count)
    SELECT $1, decode(hash, 'hex'), $2, b.codec, b.cipher, b.raw_size, b.size, substring($5::bytea FROM b.at + 1 FOR b.size),
      used.times
    FROM jsonb_to_recordset($4::jsonb) AS b(hash text, codec text, cipher text, raw_size int, size int, at int)
    JOIN used USING (hash) ORDER BY hash
    ON CONFLICT (tenant_id, hash, key_version)
      DO UPDATE SET reference_count = content_blobs.reference_count + excluded.reference_count
  ), attached AS (
    INSERT INTO attachments (tenant_id, id, storage_key, position, filename, mime_type, declared_mime_type, size_bytes,
      disposition, content_id, blob_hash, key_version)
    SELECT $1, id, storage_key, position, filename, mime_type, declared_mime_type, size, disposition, content_id,
      decode(hash, 'hex'), $2
    FROM files
  )
  SELECT storage_key FROM stored`

/** Writes mails of the tenant in scope; answers the storage keys that were not there before. */
export async function insertMessages(
  db: Database,
  key: TenantKey,
  messages: readonly PackedMessage[],
): Promise<string[]> {
  const blobs = new Map(messages.flatMap(partsOf).map((blob) => [blob.hash.toString('hex'), blob]))
  let at = 0
  const blobRows = [...blobs].map(([hash, blob]) => {
    const row = {
      hash,
      codec: blob.codec,
      cipher: blob.cipher,
      raw_size: blob.rawSizeBytes,
      size: blob.bytes.length,
      at,
    }
    at += blob.bytes.length
    return row
  })
  const { rows } = await db.tenantSql.query<{ storage_key: string }>(INSERT_MESSAGES, [
    currentTenant(),
    key.version,
    storableJson(messages.map(messageRow)),
    JSON.stringify(blobRows),
    Buffer.concat([...blobs.values()].map(({ bytes }) => bytes)),
  ])
  return rows.map((row) => row.storage_key)
}

function partsOf({ raw, text, html, files }: PackedMessage): PackedBlob[] {
  return [raw, text, html, ...files.map(({ blob }) => blob)].filter((blob) => blob !== null)
}

function messageRow(message: PackedMessage) {
  const { id, storageKey, mail, envelope, raw, text, html, files } = message
  return {
    id,
    storage_key: storageKey,
    raw_hash: raw.hash.toString('hex'),
    text_hash: text?.hash.toString('hex') ?? null,
    html_hash: html?.hash.toString('hex') ?? null,
    headers: mail.headers,
    envelope,
    parse_status: mail.parseStatus,
    parse_problems: mail.parseProblems,
    raw_size: raw.rawSizeBytes,
    stored_size: partsOf(message).reduce((sum, { bytes }) => sum + bytes.length, 0),
    files: files.map(({ id, file, blob }, position) => ({
      id,
      position,
      filename: file.filename,
      mime_type: file.mimeType,
      declared_mime_type: file.declaredMimeType,
      size: file.bytes.length,
      disposition: file.disposition,
      content_id: file.contentId,
      hash: blob.hash.toString('hex'),
    })),
  }
}
