/**
 * The business clock: when things happen to mails, campaigns and leads. It is the real time, unless CLOCK_SPEED or
 * CLOCK_ORIGIN_AT say otherwise; then all processes that share those settings agree on a time that began at
 * CLOCK_ORIGIN_AT and runs CLOCK_SPEED times as fast, so that a campaign of three weeks can be watched in minutes.
 * Timeouts, leases and the queue's own times stay real.
 */
import { z } from 'zod'

const clockSettings = z
  .object({
    CLOCK_SPEED: z.coerce.number().positive().max(1_000_000).default(1),
    CLOCK_ORIGIN_AT: z.iso.datetime({ offset: true }).optional(),
  })
  .refine(({ CLOCK_SPEED, CLOCK_ORIGIN_AT }) => CLOCK_SPEED === 1 || CLOCK_ORIGIN_AT !== undefined, {
    message: 'CLOCK_SPEED needs CLOCK_ORIGIN_AT: when, in real time, the clock began to run faster',
  })

/** A clock that showed `originAt` when the real time was `originAt`, and has run `speed` times as fast since. */
export type Clock = { speed: number; originAt: number }

let clock: Clock = readClock(process.env)

/** The business time now. */
export function now(): Date {
  return new Date(clock.originAt + (Date.now() - clock.originAt) * clock.speed)
}

/** When the real time will be there: for timers, and for a job's `runAt`. */
export function realTimeOf(at: Date): Date {
  return new Date(clock.originAt + (at.getTime() - clock.originAt) / clock.speed)
}

/** Real milliseconds that a span of business time lasts. */
export function realSpan(milliseconds: number): number {
  return milliseconds / clock.speed
}

/** Sets this process's clock; for tests that run the platform in one process. */
export function setClock(next: Clock): void {
  clock = next
}

/**
 * @throws ZodError for settings that make no clock
 */
function readClock(env: NodeJS.ProcessEnv): Clock {
  const { CLOCK_SPEED, CLOCK_ORIGIN_AT } = clockSettings.parse({
    CLOCK_SPEED: env.CLOCK_SPEED || undefined,
    CLOCK_ORIGIN_AT: env.CLOCK_ORIGIN_AT || undefined,
  })
  return { speed: CLOCK_SPEED, originAt: CLOCK_ORIGIN_AT ? Date.parse(CLOCK_ORIGIN_AT) : 0 }
}
