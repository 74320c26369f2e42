import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { LONGEST_GAP_MS, spreadSlots } from '../../../subgraphs/oltp/services/sending/slots.ts'
import {
  isOpen,
  nextMidnight,
  nextOpenSpan,
  planningSpan,
  readWindow,
  type SendingWindow,
} from '../../../subgraphs/oltp/services/sending/window.ts'

const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'America/Sao_Paulo',
  'Asia/Kolkata',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'Asia/Tehran',
  'Pacific/Chatham',
]
const MINUTE_MS = 60_000

/** What clocks and calendars show there, by another way than the code under test: a text of the runtime's. */
function clockAt(at: Date, timeZone: string): { weekday: number; minutes: number } {
  const text = at.toLocaleString('en-GB', { timeZone, weekday: 'short', hour: '2-digit', minute: '2-digit' })
  const [, weekday = '', hours, minutes] = /^(\w+),? (\d+):(\d+)$/.exec(text) ?? []
  const days = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun']
  return { weekday: days.indexOf(weekday) + 1, minutes: (Number(hours) % 24) * 60 + Number(minutes) }
}

const minutesOf = (time: string) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3))

/** Whether the window is open by the clock on the wall alone. */
function isOpenByTheClock({ days, from, to }: SendingWindow, zone: string, at: Date): boolean {
  const { weekday, minutes } = clockAt(at, zone)
  const [start, end] = [minutesOf(from), minutesOf(to)]
  const dayBefore = weekday === 1 ? 7 : weekday - 1
  if (end > start) return days.includes(weekday) && minutes >= start && minutes < end
  return (days.includes(weekday) && minutes >= start) || (days.includes(dayBefore) && minutes < end)
}

const time = fc
  .tuple(fc.integer({ min: 0, max: 23 }), fc.constantFrom(0, 15, 30, 59))
  .map(([hours, minutes]) => `${String(hours).padStart(2, '0')}:${String(minutes).padStart(2, '0')}`)
const anyWindow = fc.record({
  days: fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
  from: time,
  to: time,
})
const zone = fc.constantFrom(...ZONES)
// Half of them within days of a change of clocks.
const changes = [
  '2026-03-29T01:00Z',
  '2026-10-25T01:00Z',
  '2026-03-08T07:00Z',
  '2026-11-01T06:00Z',
  '2026-04-04T15:00Z',
]
const instant = fc.oneof(
  fc.date({ min: new Date('2026-01-01'), max: new Date('2027-12-31'), noInvalidDate: true }),
  fc
    .tuple(fc.constantFrom(...changes), fc.integer({ min: -3 * 1440, max: 3 * 1440 }))
    .map(([change, minutes]) => new Date(Date.parse(change) + minutes * MINUTE_MS)),
)

describe('a window', () => {
  test('is open only when clocks there show one of its hours on one of its days, around changes of the clock too', () => {
    fc.assert(
      fc.property(
        anyWindow,
        zone,
        instant,
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        (window, where, at, share) => {
          const span = nextOpenSpan(window, where, at)
          if (!span) return
          expect(span.from >= at && span.to > span.from).toBe(true)
          const inside = new Date(span.from.getTime() + Math.floor((span.to.getTime() - span.from.getTime()) * share))
          // The second of two equal hours belongs to a window that began in the first: it has not ended.
          if (repeats(inside, where)) return
          expect({ inside, ...clockAt(inside, where), open: isOpenByTheClock(window, where, inside) }).toMatchObject({
            open: true,
          })
        },
      ),
      { numRuns: 500 },
    )
  })

  test('opens at the first instant that its clock allows: none is passed over', () => {
    fc.assert(
      fc.property(
        anyWindow,
        zone,
        instant,
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        (window, where, at, share) => {
          const span = nextOpenSpan(window, where, at)
          if (!span) return
          const before = new Date(at.getTime() + Math.floor((span.from.getTime() - at.getTime()) * share))
          if (before >= span.from || repeats(before, where)) return
          expect(isOpenByTheClock(window, where, before)).toBe(false)
        },
      ),
      { numRuns: 500 },
    )
  })

  test('that is open stays open until the end it gave', () => {
    fc.assert(
      fc.property(anyWindow, zone, instant, (window, where, at) => {
        const span = nextOpenSpan(window, where, at)
        if (!span) return
        const last = new Date(span.to.getTime() - 1)
        expect(isOpen(window, where, span.from)).toBe(true)
        expect(isOpen(window, where, last)).toBe(true)
        expect(nextOpenSpan(window, where, last)?.to).toEqual(span.to)
      }),
    )
  })

  test('that begins in an hour which clocks leave out opens when they go on', () => {
    const window = readWindow({ days: [7], from: '02:30', to: '04:00' })
    expect(nextOpenSpan(window, 'Europe/Berlin', new Date('2026-03-29T00:00Z'))).toEqual({
      from: new Date('2026-03-29T01:00Z'),
      to: new Date('2026-03-29T02:00Z'),
    })
  })

  test('keeps its hours through the change: nine in Berlin is eight UTC in winter and seven in summer', () => {
    const window = readWindow({ days: [1, 2, 3, 4, 5], from: '09:00', to: '17:00' })
    const opens = (at: string) => nextOpenSpan(window, 'Europe/Berlin', new Date(at))?.from.toISOString()
    expect(opens('2026-03-27T18:00Z')).toBe('2026-03-30T07:00:00.000Z')
    expect(opens('2026-10-23T18:00Z')).toBe('2026-10-26T08:00:00.000Z')
  })

  test('that cannot be read, or is not there, is always open', () => {
    for (const stored of [null, {}, { days: [] }, { from: '9' }, 'x']) {
      expect(isOpen(readWindow(stored), 'UTC', new Date('2026-11-22T03:04:05.678Z'))).toBe(true)
    }
  })
})

/** Whether clocks there show this time twice. */
function repeats(at: Date, where: string): boolean {
  const shown = (offset: number) => clockAt(new Date(at.getTime() + offset * MINUTE_MS), where)
  return [-60, -30, 30, 60].some((offset) => JSON.stringify(shown(offset)) === JSON.stringify(shown(0)))
}

test('what is planned at once lies within one day of the tenant and one of UTC', () => {
  fc.assert(
    fc.property(anyWindow, zone, zone, instant, (window, campaign, tenant, at) => {
      const span = planningSpan(window, { campaign, tenant }, at)
      if (!span) return
      const dayIn = (when: Date, timeZone: string) => when.toLocaleDateString('en-CA', { timeZone })
      const last = new Date(span.to.getTime() - 1)
      for (const where of [tenant, 'UTC']) expect(dayIn(last, where)).toBe(dayIn(span.from, where))
      expect(span.to > span.from).toBe(true)
      expect(nextMidnight(span.from, tenant) >= span.to).toBe(true)
    }),
  )
})

const minutes = fc.integer({ min: 1, max: 600 })
const count = fc.integer({ min: 1, max: 300 })

test('slots are spread evenly, within their span, in order, and the same for the same seed', () => {
  fc.assert(
    fc.property(count, instant, minutes, fc.nat(400), fc.string(), (count, from, minutes, waiting, seed) => {
      const span = { from, to: new Date(from.getTime() + minutes * MINUTE_MS) }
      const slots = spreadSlots(count, span, { waiting, seed })
      expect(spreadSlots(count, span, { waiting, seed })).toEqual(slots)
      const shares = Math.max(count, Math.ceil((minutes * MINUTE_MS) / LONGEST_GAP_MS))
      const share = (minutes * MINUTE_MS) / shares
      // One in each of so many shares, those after what waits; after the last comes the first.
      const taken = Array.from({ length: count }, (_, index) => (waiting + index) % shares).sort((a, b) => a - b)
      expect(slots).toHaveLength(count)
      for (const [index, slot] of slots.entries()) {
        const offset = slot.getTime() - from.getTime()
        const place = taken[index] as number
        expect(offset).toBeGreaterThanOrEqual(Math.floor(place * share))
        expect(offset).toBeLessThan((place + 1) * share)
        expect(slot < span.to).toBe(true)
      }
    }),
  )
})

test('mails planned one by one crowd no more than those that are planned together', () => {
  fc.assert(
    fc.property(count, instant, minutes, (count, from, minutes) => {
      const span = { from, to: new Date(from.getTime() + minutes * MINUTE_MS) }
      const seeds = Array.from({ length: count }, (_, waiting) => ({ waiting, seed: `mail ${waiting}` }))
      const times = seeds.flatMap((seed) => spreadSlots(1, span, seed)).map((slot) => slot.getTime())
      times.sort((a, b) => a - b)
      const shares = Math.ceil((minutes * MINUTE_MS) / LONGEST_GAP_MS)
      // What lies within the length of a share lies in two shares at most.
      const most = 2 * Math.ceil(count / shares)
      for (const [index, time] of times.entries()) {
        const beyond = times[index + most]
        if (beyond) expect(beyond - time).toBeGreaterThanOrEqual((minutes * MINUTE_MS) / shares - 1)
      }
    }),
  )
})
