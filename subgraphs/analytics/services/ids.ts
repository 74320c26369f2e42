import { AppError } from '#platform/errors.ts'
import { isUuid } from '#platform/graph/ids.ts'

const MOST_IDS = 100

/** A reference to another tier's entity; null when there is no id or it can't be one. */
export function refer(id: string | null | undefined): { id: string } | null {
  return isUuid(id) ? { id } : null
}

/**
 * A client's list of ids, lower case, each once; what can't be an id is left out.
 * @throws AppError INVALID_INPUT for more than 100
 */
export function readIds(ids: readonly string[]): string[] {
  if (ids.length > MOST_IDS) throw new AppError('INVALID_INPUT', `ids: at most ${MOST_IDS}, not ${ids.length}`)
  return [...new Set(ids.filter(isUuid).map((id) => id.toLowerCase()))]
}

/**
 * A count argument such as `months` or `first`.
 * @throws AppError INVALID_INPUT naming the argument and its limits
 */
export function readCount(name: string, value: number | null | undefined, usual: number, most: number): number {
  const count = value ?? usual
  if (!Number.isInteger(count) || count < 1 || count > most) {
    throw new AppError('INVALID_INPUT', `${name}: must be between 1 and ${most}, not ${count}`)
  }
  return count
}
