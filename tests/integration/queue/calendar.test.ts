import { describe, expect, test } from '@jest/globals'
import { readCalendar } from '../../../subgraphs/queue/engine/calendar.ts'

/** The next times after one, without their seconds. */
function timesAfter(after: string, count: number, expression: string, timezone: string): string[] {
  const calendar = readCalendar(expression, timezone)
  const times: string[] = []
  let time: Date | null = new Date(after)
  while (times.length < count) {
    time = calendar.next(time as Date)
    if (time === null) break
    times.push(time.toISOString().replace(':00.000Z', 'Z'))
  }
  return times
}

describe('where the clock goes forward', () => {
  test('a time that Berlin leaves out comes with the first moment after the gap, that day only', () => {
    expect(timesAfter('2026-03-28T00:00Z', 3, '30 2 * * *', 'Europe/Berlin')).toEqual([
      '2026-03-28T01:30Z',
      '2026-03-29T01:00Z',
      '2026-03-30T00:30Z',
    ])
  })

  test('so it does in New York, and when it is one of two times a day', () => {
    expect(timesAfter('2026-03-08T00:00-05:00', 3, '30 2,14 * * *', 'America/New_York')).toEqual([
      '2026-03-08T07:00Z',
      '2026-03-08T18:30Z',
      '2026-03-09T06:30Z',
    ])
  })

  test('a beat goes on without the hour that is not there', () => {
    const quarters = timesAfter('2026-03-29T01:15+01:00', 4, '*/30 * * * *', 'Europe/Berlin')
    expect(quarters).toEqual(['2026-03-29T00:30Z', '2026-03-29T01:00Z', '2026-03-29T01:30Z', '2026-03-29T02:00Z'])
    expect(timesAfter('2026-03-08T01:30-05:00', 2, '*/30 2 * * *', 'America/New_York')).toEqual([
      '2026-03-09T06:00Z',
      '2026-03-09T06:30Z',
    ])
  })
})

describe('where the clock goes back', () => {
  test('a time that Berlin shows twice comes the first time', () => {
    expect(timesAfter('2026-10-24T12:00Z', 2, '30 2 * * *', 'Europe/Berlin')).toEqual([
      '2026-10-25T00:30Z',
      '2026-10-26T01:30Z',
    ])
    expect(timesAfter('2026-10-25T00:30Z', 1, '30 2 * * *', 'Europe/Berlin')).toEqual(['2026-10-26T01:30Z'])
    expect(timesAfter('2026-10-25T01:10Z', 1, '30 2 * * *', 'Europe/Berlin')).toEqual(['2026-10-26T01:30Z'])
  })

  test('so it does in New York, and when it is one of two times a day', () => {
    expect(timesAfter('2026-11-01T00:00-04:00', 3, '30 1,13 * * *', 'America/New_York')).toEqual([
      '2026-11-01T05:30Z',
      '2026-11-01T18:30Z',
      '2026-11-02T06:30Z',
    ])
  })

  test('a beat goes on in both hours of one name', () => {
    expect(timesAfter('2026-10-24T23:45Z', 5, '*/30 * * * *', 'Europe/Berlin')).toEqual([
      '2026-10-25T00:00Z',
      '2026-10-25T00:30Z',
      '2026-10-25T01:00Z',
      '2026-10-25T01:30Z',
      '2026-10-25T02:00Z',
    ])
  })
})

test('a named time comes exactly once on every day of ten years, wherever clocks change', () => {
  for (const timezone of ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Africa/Casablanca', 'UTC']) {
    const date = new Intl.DateTimeFormat('en-CA', { timeZone: timezone })
    const { next } = readCalendar('30 2 * * *', timezone)
    const days: string[] = []
    for (let time = next(new Date('2026-01-01T12:00Z')); time && time.getUTCFullYear() < 2036; time = next(time)) {
      days.push(date.format(time))
    }
    expect(days.length).toBeGreaterThan(3_640)
    expect(new Set(days).size).toBe(days.length)
    const span = Date.parse(days.at(-1) as string) - Date.parse(days[0] as string)
    expect(days.length).toBe(span / 86_400_000 + 1)
  }
}, 30_000)

describe('is refused in words', () => {
  test.each([
    ['61 * * * *', 'UTC', /^cronExpression: .*61|^cronExpression: Invalid value for minute/],
    ['every day', 'UTC', /^cronExpression: is not five fields/],
    ['', 'UTC', /^cronExpression: is not five fields/],
    ['@reboot', 'UTC', /^cronExpression: is not five fields/],
    ['2026-12-24T18:00:00', 'UTC', /^cronExpression: is not five fields/],
    ['*/5 * * * * *', 'UTC', /^cronExpression: has 6 fields.*once a minute/],
    ['0 0 0 * * * 2030', 'UTC', /^cronExpression: has 7 fields/],
    [`${'0,'.repeat(500)}0 * * * *`, 'UTC', /^cronExpression: has more than 200 characters/],
    ['0 3 * * *', 'Mars/Phobos', /^timezone: there is no time zone "Mars\/Phobos"$/],
    ['0 3 * * *', '', /^timezone/],
    ['0 3 * * *', '+02:00', /^timezone/],
    ['0 3 * * *', `Europe/${'x'.repeat(5_000)}`, /^timezone: .{0,110}$/],
  ])('%.30s in %.30s', (expression, timezone, message) => {
    expect(() => readCalendar(expression, timezone)).toThrow(message)
  })

  test('what never comes due has no next time; what comes after decades has', () => {
    const next = (expression: string) => readCalendar(expression, 'UTC').next(new Date('2026-01-01T00:00Z'))
    expect(next('0 0 30 2 *')).toBeNull()
    expect(next('0 0 31 2,4,6,9,11 *')).toBeNull()
    expect(next('0 0 29 2 +1')?.toISOString()).toBe('2044-02-29T00:00:00.000Z')
  })
})
