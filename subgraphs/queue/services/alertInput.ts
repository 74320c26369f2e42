import { z } from 'zod'
import { AppError } from '#platform/errors.ts'
import type { AlertRow } from './rows.ts'

const DAY_SECONDS = 86_400
/** Every attempt of the window is read at each evaluation: not of a whole day. */
const LONGEST_WINDOW_OF_ATTEMPTS_SECONDS = 3_600

const seconds = (least: number) =>
  z.number().int().min(least, `is less than ${least}`).max(DAY_SECONDS, `is more than ${DAY_SECONDS}`)
/** PostgreSQL stores no NUL. */
const text = (most: number) =>
  z
    .string()
    .max(most, `is longer than ${most} characters`)
    .refine((value) => !value.includes('\0'), 'holds a character that cannot be stored')
const value = z.number('is no number').min(0, 'is less than 0')

const alert = z
  .object({
    name: text(200).refine((name) => name.trim() !== '', 'is empty'),
    alertType: z.string(),
    threshold: value,
    resolveThreshold: value.nullable(),
    windowSeconds: seconds(1),
    holdSeconds: seconds(0),
    severity: z.enum(['info', 'warning', 'critical']),
    channels: z.array(z.enum(['in_app', 'email', 'push'], 'is none of in_app, email, push')),
    isActive: z.boolean(),
  })
  .superRefine((given, { addIssue }) => {
    const complain = (field: string, message: string) => addIssue({ code: 'custom', path: [field], message })
    if (given.resolveThreshold !== null && given.resolveThreshold > given.threshold) {
      complain('resolveThreshold', 'is above the threshold')
    }
    if (given.alertType === 'high_error_rate' && given.threshold >= 1) complain('threshold', 'is no share below 1')
    const readsAttempts = given.alertType === 'high_error_rate' || given.alertType === 'slow_processing'
    if (readsAttempts && given.windowSeconds > LONGEST_WINDOW_OF_ATTEMPTS_SECONDS) {
      complain('windowSeconds', `is more than ${LONGEST_WINDOW_OF_ATTEMPTS_SECONDS}`)
    }
  })

const note = text(2_000)

/** What makes up an alert and can be changed. */
export const SETTINGS = [
  'name',
  'threshold',
  'resolveThreshold',
  'windowSeconds',
  'holdSeconds',
  'severity',
  'channels',
  'isActive',
] as const
export type AlertSettings = Pick<AlertRow, 'alertType' | (typeof SETTINGS)[number]>

/**
 * An alert's settings as they would be.
 * @throws AppError INVALID_INPUT, naming the field
 */
export function checkAlert(settings: unknown): AlertSettings {
  return check(alert, settings, 'input') as AlertSettings
}

/** @throws AppError INVALID_INPUT */
export function checkNote(given: string | null | undefined): string | null {
  return given == null ? null : check(note, given, 'input.note')
}

function check<Output>(schema: z.ZodType<Output>, given: unknown, place: string): Output {
  const { data, error } = schema.safeParse(given)
  if (!error) return data
  const [{ path, message } = { path: [], message: 'is not valid' }] = error.issues
  throw new AppError('INVALID_INPUT', `${[place, ...path].join('.')}: ${message}`)
}
