import { Cron } from 'croner'

/** When something is due. */
export type Calendar = {
  /** The first time later than this one; null when there is none. Full minutes. */
  next: (after: Date) => Date | null
}

const NICKNAME = /^@(yearly|annually|monthly|weekly|daily|midnight|hourly)$/i
const ZONE = /^[a-z][a-z0-9_+/-]{0,63}$/i
const LONGEST_EXPRESSION = 200

/**
 * Reads a cron expression in an IANA time zone: five fields, minute first, or `@daily` and its kin. Weekday and day of
 * the month both given mean either, as cron has it.
 *
 * Where clocks change, a time that is named (neither `*` nor a step in minute and hour) comes once that day, whatever the
 * clock does: one that the clock leaves out comes with the first moment after the gap, one that it shows twice comes the
 * first time. What keeps a beat (`*`, a step) goes by the clock: left out with the gap, there again when it repeats.
 * @throws Error in words for whoever wrote them, with the name of the field
 */
export function readCalendar(expression: string, timezone: string): Calendar {
  requireZone(timezone)
  const cron = readExpression(expression, timezone)
  return { next: (after) => cron.nextRun(after) }
}

function requireZone(timezone: string): void {
  try {
    // Offsets such as +02:00 are known to some versions of Node and not to others.
    if (!ZONE.test(timezone)) throw new RangeError('not a name')
    new Intl.DateTimeFormat('en', { timeZone: timezone })
  } catch (cause) {
    throw new Error(`timezone: there is no time zone ${JSON.stringify(timezone.slice(0, 64))}`, { cause })
  }
}

function readExpression(expression: string, timezone: string): Cron {
  if (expression.length > LONGEST_EXPRESSION) {
    throw new Error(`cronExpression: has more than ${LONGEST_EXPRESSION} characters`)
  }
  const fields = expression.trim().split(/\s+/)
  if (fields.length === 6 || fields.length === 7) {
    throw new Error(
      `cronExpression: has ${fields.length} fields; five are read, minute first: not more than once a minute`,
    )
  }
  if (fields.length !== 5 && !NICKNAME.test(fields[0] ?? '')) {
    throw new Error('cronExpression: is not five fields: minute, hour, day of the month, month, weekday')
  }
  try {
    return new Cron(fields.join(' '), { timezone, mode: '5-part', fixedTimeRule: 'no-wildcard', paused: true })
  } catch (cause) {
    throw new Error(`cronExpression: ${(cause as Error).message.replace(/^CronPattern: /, '')}`, { cause })
  }
}
