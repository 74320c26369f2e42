import { z } from 'zod'
import { AppError } from '#platform/errors.ts'
import { isTimezone } from '../mailFlow/localDay.ts'
import type { CampaignRow } from '../rows.ts'
import { type SendingWindow, sendingWindow } from '../sending/window.ts'
import { readOptionalText, readText } from '../texts.ts'

/** What a person sets of a campaign. */
export type CampaignSettings = Pick<CampaignRow, 'name' | 'description' | 'dailyCap' | 'timezone'> & {
  sendingWindow: SendingWindow | null
}

export const SETTINGS = ['name', 'description', 'dailyCap', 'sendingWindow', 'timezone'] as const

type Given = {
  name?: string | null
  description?: string | null
  dailyCap?: number | null
  sendingWindow?: unknown
  timezone?: string | null
}

/** Far more than a tenant's mailboxes send. */
const MAX_DAILY_CAP = 1_000_000

/**
 * A campaign's settings as they are stored.
 * @throws AppError INVALID_INPUT naming the field
 */
export function readSettings(given: Given): CampaignSettings {
  return {
    name: readText(given.name ?? '', 'name', 200),
    description: readOptionalText(given.description, 'description', 10_000),
    dailyCap: readDailyCap(given.dailyCap ?? null),
    sendingWindow: given.sendingWindow == null ? null : checkWindow(given.sendingWindow),
    timezone: given.timezone == null ? null : checkTimezone(given.timezone),
  }
}

function readDailyCap(dailyCap: number | null): number | null {
  if (dailyCap !== null && (dailyCap < 1 || dailyCap > MAX_DAILY_CAP)) {
    throw new AppError('INVALID_INPUT', `dailyCap: must be between 1 and ${MAX_DAILY_CAP}`)
  }
  return dailyCap
}

/** Days 1 (Monday) to 7, each once, and clock times. */
function checkWindow(given: unknown): SendingWindow {
  const parsed = z.strictObject(sendingWindow.shape).safeParse(given)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const place = ['sendingWindow', ...(issue?.path ?? [])].join('.')
    throw new AppError('INVALID_INPUT', `${place}: ${issue?.message ?? 'is not a window'}`)
  }
  return { ...parsed.data, days: [...new Set(parsed.data.days)].sort() }
}

function checkTimezone(timezone: string): string {
  if (!isTimezone(timezone)) throw new AppError('INVALID_INPUT', 'timezone: is not a timezone')
  return timezone
}
