import { createHash } from 'node:crypto'
import { AppError } from '../errors.ts'
import type { Queryable } from './tenantPool.ts'
import { currentTenant } from './tenantScope.ts'

/** A mutation that its client can safely repeat: the key it chose, and a hash of what it asked for. */
export type RepeatableRequest = { key: string; hash: string }

const MAX_KEY_LENGTH = 200

// A key past its time counts as never used. Waits for a concurrent holder of the key to commit or give up.
const REMEMBER = `
  INSERT INTO idempotency_keys AS k (tenant_id, key, request_hash, response, expires_at)
  VALUES ($1, $2, $3, $4, now() + interval '7 days')
  ON CONFLICT (tenant_id, key) DO UPDATE
    SET request_hash = excluded.request_hash, response = excluded.response, expires_at = excluded.expires_at,
        created_at = now()
    WHERE k.expires_at <= now()`

const FIND = `
  SELECT request_hash, response FROM idempotency_keys WHERE tenant_id = $1 AND key = $2 AND expires_at > now()`

/**
 * The request as something to remember; null when the client gave no key.
 * @param input what the same key must come with again
 * @throws AppError INVALID_INPUT for a key that is empty, longer than 200 characters, or holds what PostgreSQL can't
 */
export function makeRepeatable(
  key: string | null | undefined,
  operation: string,
  input: readonly (string | null | undefined)[],
): RepeatableRequest | null {
  if (key == null) return null
  const asked = JSON.stringify([operation, ...input.map((part) => part ?? null)])
  return { key: readKey(key), hash: createHash('sha256').update(asked).digest('hex') }
}

/**
 * The answer given when the key was used before; null when it wasn't.
 * @throws AppError CONFLICT when it came with another input
 */
export async function findAnswer<Answer>(sql: Queryable, { key, hash }: RepeatableRequest): Promise<Answer | null> {
  const { rows } = await sql.query<{ request_hash: string; response: Answer }>(FIND, [currentTenant(), key])
  const [known] = rows
  if (!known) return null
  if (known.request_hash !== hash) {
    throw new AppError('CONFLICT', 'idempotencyKey: was used before with another input')
  }
  return known.response
}

/**
 * Remembers the answer in the transaction of what it answers for. Null when the key was free; else the earlier answer,
 * which then is to be given, and the transaction to write nothing more.
 * @throws AppError CONFLICT when the key came with another input before
 */
export async function rememberAnswer<Answer extends object>(
  tx: Queryable,
  request: RepeatableRequest,
  answer: Answer,
): Promise<Answer | null> {
  const values = [currentTenant(), request.key, request.hash, JSON.stringify(answer)]
  const { rowCount } = await tx.query(REMEMBER, values)
  return rowCount === 1 ? null : findAnswer<Answer>(tx, request)
}

function readKey(key: string): string {
  const trimmed = key.trim()
  const isStorable = !trimmed.includes('\0') && !/\p{Surrogate}/u.test(trimmed)
  if (trimmed === '' || trimmed.length > MAX_KEY_LENGTH || !isStorable) {
    throw new AppError('INVALID_INPUT', `idempotencyKey: must be 1 to ${MAX_KEY_LENGTH} characters`)
  }
  return trimmed
}
