import { AppError } from '#platform/errors.ts'

/** Whether a tier did not answer: the job waits and is tried again, however often. */
export function isAway(error: unknown): boolean {
  return error instanceof AppError && error.code === 'UNAVAILABLE'
}
