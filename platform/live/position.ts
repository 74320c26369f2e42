import { AppError } from '#platform/errors.ts'

/**
 * Up to where a subscriber has been told of things that have UUIDv7 ids. An id is made before its row is committed, so of
 * two things the later may be seen first: up to `floor` everything is settled, above it `told` names what has been told.
 */
export type Position = { floor: string; told: readonly string[] }

/** So long a row may be committed after its id was made, clocks that differ included, and still be told. */
export const LATE_MS = 30_000
/** Things that are remembered above the floor; where more come in that time, the floor rises to the oldest of them. */
export const MAX_TOLD = 100

const ID_BYTES = 16

/** The lowest id that can have been made at a time; milliseconds since 1970. */
export function lowestIdAt(milliseconds: number): string {
  const hex = Math.max(0, Math.floor(milliseconds)).toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`
}

/** When an id was made; milliseconds since 1970. */
export function timeOfId(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
}

/** The position after one more thing was told; things are told in the order of their ids as far as they are seen. */
export function advance({ floor, told }: Position, id: string, now: number): Position {
  const seen = [...told, id].sort()
  const oldest = seen.length > MAX_TOLD ? seen.shift() : undefined
  // What is older than that is settled: nothing comes up before it any more.
  const isSettled = id < lowestIdAt(now - LATE_MS)
  const risen = [floor, isSettled ? id : floor, oldest ?? floor].sort().at(-1) as string
  return { floor: risen, told: seen.filter((other) => other > risen) }
}

/** The position of somebody who has been told everything that can be seen now. */
export function settle({ floor, told }: Position, now: number): Position {
  const settled = lowestIdAt(now - LATE_MS)
  return settled > floor ? { floor: settled, told: told.filter((id) => id > settled) } : { floor, told }
}

/** As clients keep it: the id of an event. */
export function writePosition({ floor, told }: Position): string {
  const hex = [floor, ...told].join('').replaceAll('-', '')
  return Buffer.from(hex, 'hex').toString('base64url')
}

/** Reads what `writePosition` wrote. @throws AppError INVALID_INPUT for anything else */
export function readPosition(text: string): Position {
  const bytes = Buffer.from(text, 'base64url')
  const count = bytes.length / ID_BYTES
  if (!Number.isInteger(count) || count < 1 || count > MAX_TOLD + 1 || bytes.toString('base64url') !== text) {
    throw new AppError('INVALID_INPUT', 'Last-Event-ID: is not the id of an event')
  }
  const ids = Array.from({ length: count }, (_, index) =>
    bytes
      .toString('hex', index * ID_BYTES, (index + 1) * ID_BYTES)
      .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
  )
  const [floor = '', ...told] = ids
  return { floor, told }
}
