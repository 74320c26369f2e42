import { AppError } from '#platform/errors.ts'

const MAX_LENGTH = 500

/** Whether a text can be a storage key at all: 1 to 500 characters, no null character. */
export function isStorageKey(key: string): boolean {
  return key.length > 0 && [...key].length <= MAX_LENGTH && !key.includes('\0') && !/\p{Surrogate}/u.test(key)
}

/** @throws AppError INVALID_INPUT */
export function requireStorageKey(key: string): string {
  if (!isStorageKey(key)) throw new AppError('INVALID_INPUT', `storageKey: must be 1 to ${MAX_LENGTH} characters`)
  return key
}
