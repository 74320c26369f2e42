import { createHash } from 'node:crypto'
import { AppError } from '../errors.ts'

/** What a list can be sorted by. Dates are exact to the millisecond, as the columns are. */
export type SortValue = string | number | bigint | boolean | Date | null

const FIRST_INSTANT = Date.parse('0001-01-01T00:00:00Z')
const LAST_INSTANT = 8_640_000_000_000_000

type Encoded = string | number | boolean | null | { ms: number } | { int: string }

/** Names a list and its order, so that a cursor of one is not taken for a cursor of another. */
export function listSignature(list: string, sort: readonly { direction: string }[]): string {
  return createHash('sha256')
    .update(JSON.stringify([list, sort]))
    .digest('base64url')
    .slice(0, 8)
}

/** A place in a sorted list: opaque to clients, stable while rows come and go. */
export function encodeCursor(signature: string, values: readonly SortValue[]): string {
  return Buffer.from(JSON.stringify([signature, ...values.map(encodeValue)])).toString('base64url')
}

/** @throws AppError INVALID_INPUT for what is no cursor, or one of another list or order */
export function decodeCursor(cursor: string, signature: string, length: number): SortValue[] {
  const [owner, ...values] = parse(cursor)
  if (owner !== signature || values.length !== length) throw badCursor()
  return values.map(decodeValue)
}

export function badCursor(cause?: unknown): AppError {
  return new AppError('INVALID_INPUT', 'after: not a cursor of this list in this order', { cause })
}

function parse(cursor: string): unknown[] {
  if (!/^[\w-]{1,4096}$/.test(cursor)) throw badCursor()
  try {
    const parsed: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    if (Array.isArray(parsed)) return parsed
  } catch (error) {
    throw badCursor(error)
  }
  throw badCursor()
}

function encodeValue(value: SortValue): Encoded {
  if (value instanceof Date) return { ms: value.getTime() }
  if (typeof value === 'bigint') return { int: value.toString() }
  if (value === null || typeof value !== 'object') return value
  // Prisma's Decimal: its text is a valid number to the database.
  return String(value)
}

function decodeValue(value: unknown): SortValue {
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return value
  // PostgreSQL has no NUL in text.
  if (typeof value === 'string' && !value.includes('\0')) return value
  if (typeof value === 'object' && 'ms' in value && isInstant(value.ms)) return new Date(value.ms)
  if (typeof value === 'object' && 'int' in value && isInteger(value.int)) return BigInt(value.int)
  throw badCursor()
}

/** From the year 1, where Prisma's way of writing an instant begins to be PostgreSQL's too. */
function isInstant(ms: unknown): ms is number {
  return Number.isInteger(ms) && (ms as number) >= FIRST_INSTANT && (ms as number) <= LAST_INSTANT
}

/** What a bigint column holds; Prisma takes no larger one. */
function isInteger(text: unknown): text is string {
  return typeof text === 'string' && /^-?\d{1,19}$/.test(text) && BigInt(text) === BigInt.asIntN(64, BigInt(text))
}
