import { type Calendar, readCalendar } from './calendar.ts'

/** What a schedule says about its times, and how its last job stands. */
export type Timetable = {
  cronExpression: string
  timezone: string
  overlapPolicy: 'skip' | 'allow'
  missedRunPolicy: 'skip' | 'run_once' | 'run_all'
  /** Null: has not been given a time yet. */
  nextRunAt: Date | null
  /** Its last job waits or is in work. */
  isRunning: boolean
}

/** What a look at a due schedule comes to. */
export type Firing = {
  /** The due times that become a job each. */
  times: Date[]
  /** Null: it is not due any more, ever. */
  nextRunAt: Date | null
  /** Why a time became no job; null when none was left out. */
  note: string | null
}

/** A time is missed when nobody looked for a minute: before that it is only late. */
const MISSED_AFTER_MS = 60_000
const MOST_MISSED = 100

/**
 * Which of a schedule's due times become jobs now, and when it is due again: always later than now, so that no time is
 * looked at twice. What cannot be read is due never again, with a note that says why.
 */
export function planFiring(timetable: Timetable, now: Date): Firing {
  let calendar: Calendar
  try {
    calendar = readCalendar(timetable.cronExpression, timetable.timezone)
  } catch (error) {
    return { times: [], nextRunAt: null, note: (error as Error).message }
  }
  const nextRunAt = calendar.next(now)
  const { times, note } = chooseTimes(timetable, calendar, now)
  return { times, nextRunAt, note: nextRunAt ? note : 'cronExpression: never comes due again' }
}

type Choice = Pick<Firing, 'times' | 'note'>

function chooseTimes(timetable: Timetable, calendar: Calendar, now: Date): Choice {
  const { overlapPolicy, missedRunPolicy, nextRunAt, isRunning } = timetable
  if (nextRunAt === null) return { times: [], note: null }
  if (overlapPolicy === 'skip' && isRunning) return { times: [], note: 'left out: its last job has not ended' }
  if (now.getTime() - nextRunAt.getTime() < MISSED_AFTER_MS) return { times: [nextRunAt], note: null }
  switch (missedRunPolicy) {
    case 'skip': {
      const latest = calendar.next(new Date(now.getTime() - MISSED_AFTER_MS))
      if (latest !== null && latest <= now) return { times: [latest], note: null }
      return { times: [], note: 'left out: nobody looked for more than a minute' }
    }
    case 'run_once':
      return { times: [nextRunAt], note: null }
    case 'run_all':
      // The first one's job would not have ended when the second is made.
      return overlapPolicy === 'skip' ? { times: [nextRunAt], note: null } : everyTime(calendar, nextRunAt, now)
  }
}

function everyTime(calendar: Calendar, first: Date, now: Date): Choice {
  const times = [first]
  for (;;) {
    const time = calendar.next(times.at(-1) as Date)
    if (time === null || time > now) return { times, note: null }
    if (times.length === MOST_MISSED) return { times, note: `left out: more than ${MOST_MISSED} times were missed` }
    times.push(time)
  }
}
