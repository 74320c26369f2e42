import { AppError } from '#platform/errors.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const NO_ID = '00000000-0000-0000-0000-000000000000'

/** Whether a client's id can be one of ours. One that can't is like one that nothing is known of. */
export function isUuid(id: unknown): id is string {
  return typeof id === 'string' && UUID.test(id)
}

/** An id to filter by. A malformed one finds nothing, like an id that doesn't exist; none doesn't filter. */
export function filterId(id: string | null | undefined): string | undefined {
  if (id == null) return undefined
  return isUuid(id) ? id.toLowerCase() : NO_ID
}

/**
 * An id to act on or to write.
 * @throws AppError INVALID_INPUT when it is no UUID
 */
export function readId(id: string, field: string): string {
  if (!isUuid(id)) throw new AppError('INVALID_INPUT', `${field}: is not an id`)
  return id.toLowerCase()
}
