const DAY_MS = 86_400_000

/** What a domain sends in a day at most: as much as one address safely carries. */
export const DOMAIN_DAILY_CAP = 1_200

/** Warmup of a mailbox: from this day on, so much on its first day and so much on its last. */
const MAILBOX_WARMUP = [
  { from: 1, to: 3, first: 5, last: 10 },
  { from: 4, to: 7, first: 10, last: 25 },
  { from: 8, to: 14, first: 25, last: 50 },
  { from: 15, to: 21, first: 50, last: 100 },
] as const

export type MailboxFacts = { dailyLimit: number; warmupStatus: string; warmupStartedAt: Date | null }

export type AddressFacts = {
  status: string
  pool: string
  dailySafeLimit: number
  warmupStartedAt: Date | null
}

/** Mails that a mailbox may send on the day of `now`: its limit, less while it warms up. */
export function mailboxCap({ dailyLimit, warmupStatus, warmupStartedAt }: MailboxFacts, now: Date): number {
  if (warmupStatus !== 'active' && warmupStatus !== 'paused') return dailyLimit
  return Math.min(dailyLimit, warmupAllowance(dayOf(warmupStartedAt ?? now, now)))
}

/** Mails on a day of a mailbox's warmup, the first being 1; unlimited after the last. */
export function warmupAllowance(day: number): number {
  const stage = MAILBOX_WARMUP.find(({ to }) => day <= to)
  if (!stage) return Number.POSITIVE_INFINITY
  const share = Math.max(0, day - stage.from) / (stage.to - stage.from)
  return Math.floor(stage.first + share * (stage.last - stage.first))
}

const ADDRESS_FIRST_DAY = 50
const ADDRESS_GROWTH = 1.25
const ADDRESS_STEP_DAYS = 3.5

/**
 * Mails that an address may carry on the day of `now`: none when it is burned or in quarantine, half when degraded; while
 * it warms up 50, a quarter more every three and a half days, for 14 days, 21 if it is dedicated.
 */
export function addressCap({ status, pool, dailySafeLimit, warmupStartedAt }: AddressFacts, now: Date): number {
  if (isStopped({ status })) return 0
  if (status === 'degraded') return Math.floor(dailySafeLimit / 2)
  if (status !== 'warming') return dailySafeLimit
  const day = dayOf(warmupStartedAt ?? now, now)
  if (day > (pool === 'dedicated' ? 21 : 14)) return dailySafeLimit
  const steps = Math.floor((day - 1) / ADDRESS_STEP_DAYS)
  return Math.min(dailySafeLimit, Math.floor(ADDRESS_FIRST_DAY * ADDRESS_GROWTH ** steps))
}

/** Whether nothing may leave by an address, whatever was planned. */
export function isStopped({ status }: Pick<AddressFacts, 'status'>): boolean {
  return status === 'burned' || status === 'quarantined'
}

/** Which day it is since `startedAt`, from 1. */
function dayOf(startedAt: Date, now: Date): number {
  return Math.max(1, Math.floor((now.getTime() - startedAt.getTime()) / DAY_MS) + 1)
}
