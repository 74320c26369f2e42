import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import type { Database } from '../database.ts'
import { parseMail } from './mailParsing.ts'
import { type PackedMessage, packMessage, type StoredEnvelope } from './messagePacking.ts'
import { insertMessages } from './messageRows.ts'
import { isStorageKey, requireStorageKey } from './storageKeys.ts'
import type { TenantKeys } from './tenantKeys.ts'

/** A raw mail, in base64, to be kept under a key of the producer's choice. */
export type StoreMessageInput = { storageKey: string; raw: string }

/** What a stored mail is; the same on every repeat, but for `alreadyStored`. */
export type StoreMessageResult = StoredEnvelope & {
  storageKey: string
  alreadyStored: boolean
  parseStatus: 'parsed' | 'partial' | 'unparsed'
  rawSizeBytes: number
  storedSizeBytes: number
  contentHash: string
}

type RawMessage = { storageKey: string; raw: Buffer }

const MAX_MESSAGES = 50
const MAX_READ = 100
/** Mails are parsed and written in groups of about this size: memory stays bounded, whatever the batch. */
const GROUP_BYTES = 16 * 1024 * 1024

/**
 * Stores mails of the tenant in scope and tells what they are, in the order given. Idempotent by storage key, also when
 * several callers store the same key at once. Each mail is stored wholly or not at all; after an error some of the batch
 * may be stored, and a repeat finds them so.
 * @param maxBytes largest raw mail
 * @throws AppError INVALID_INPUT for an empty mail, no base64 or a bad key; LIMIT_REACHED for too large or too many.
 *         Nothing is stored then.
 */
export async function storeMessages(
  { db, keys }: { db: Database; keys: TenantKeys },
  messages: readonly StoreMessageInput[],
  maxBytes: number,
): Promise<StoreMessageResult[]> {
  if (messages.length > MAX_MESSAGES) {
    throw new AppError('LIMIT_REACHED', `messages: at most ${MAX_MESSAGES} at once`, {
      extensions: { limit: MAX_MESSAGES },
    })
  }
  const decoded = messages.map((message) => decodeMessage(message, maxBytes))
  const known = await findResults(
    db,
    messages.map(({ storageKey }) => storageKey),
  )
  const fresh = new Map(decoded.filter(({ storageKey }) => !known.has(storageKey)).map((one) => [one.storageKey, one]))
  const made = new Set<string>()
  for (const group of groupBySize([...fresh.values()])) {
    for (const storageKey of await storeGroup({ db, keys }, group)) made.add(storageKey)
  }
  const results = fresh.size === 0 ? known : new Map([...known, ...(await findResults(db, [...fresh.keys()]))])
  return messages.map(({ storageKey }) => {
    const result = results.get(storageKey)
    if (!result) throw new AppError('INTERNAL', 'a mail vanished while it was stored')
    // Of the same key twice in one batch, the second finds what the first has stored.
    return { ...result, alreadyStored: !made.delete(storageKey) }
  })
}

/** What stored mails are, in no order; those the tenant in scope does not have are left out. At most 100 keys are looked at. */
export async function findStoredMails(db: Database, storageKeys: readonly string[]): Promise<StoreMessageResult[]> {
  const known = await findResults(db, storageKeys.filter(isStorageKey).slice(0, MAX_READ))
  return [...known.values()]
}

function decodeMessage({ storageKey, raw }: StoreMessageInput, maxBytes: number): RawMessage {
  requireStorageKey(storageKey)
  const bytes = Buffer.from(raw, 'base64')
  if (bytes.length === 0) throw new AppError('INVALID_INPUT', 'raw: is empty or not base64')
  if (bytes.length > maxBytes) {
    throw new AppError('LIMIT_REACHED', `raw: larger than ${maxBytes} bytes`, { extensions: { limit: maxBytes } })
  }
  return { storageKey, raw: bytes }
}

function groupBySize(messages: readonly RawMessage[]): RawMessage[][] {
  const groups: RawMessage[][] = []
  let size = Number.POSITIVE_INFINITY
  for (const message of messages) {
    if (size + message.raw.length > GROUP_BYTES) {
      groups.push([])
      size = 0
    }
    groups.at(-1)?.push(message)
    size += message.raw.length
  }
  return groups
}

/** Parses, packs and writes; answers the keys that were not there. */
async function storeGroup(
  { db, keys }: { db: Database; keys: TenantKeys },
  group: readonly RawMessage[],
): Promise<string[]> {
  const key = await keys.current()
  const packing: Promise<PackedMessage>[] = []
  // Mails are parsed one after the other on this thread, and packed meanwhile on others.
  for (const { storageKey, raw } of group) {
    const mail = await parseMail(raw)
    const packed = packMessage({ storageKey, raw, mail, key })
    packed.catch(() => undefined)
    packing.push(packed)
  }
  return insertMessages(db, key, await Promise.all(packing))
}

type ResultRow = {
  storage_key: string
  parse_status: StoreMessageResult['parseStatus']
  raw_size_bytes: number
  stored_size_bytes: number
  content_hash: string
  envelope: StoredEnvelope
}

async function findResults(db: Database, storageKeys: readonly string[]): Promise<Map<string, StoreMessageResult>> {
  const { rows } = await db.tenantSql.query<ResultRow>(
    `SELECT storage_key, parse_status, raw_size_bytes, stored_size_bytes, content_hash, envelope FROM content_objects
     WHERE tenant_id = $1 AND storage_key = ANY($2::text[])`,
    [currentTenant(), storageKeys],
  )
  return new Map(
    rows.map((row) => [
      row.storage_key,
      {
        // Those of mails that were stored before anyone asked are not known.
        ...{ report: null, isBulk: false, replyTo: null },
        ...row.envelope,
        storageKey: row.storage_key,
        alreadyStored: true,
        parseStatus: row.parse_status,
        rawSizeBytes: row.raw_size_bytes,
        storedSizeBytes: row.stored_size_bytes,
        contentHash: row.content_hash,
      },
    ]),
  )
}
