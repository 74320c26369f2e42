import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { addressCap, mailboxCap, warmupAllowance } from '../../../subgraphs/oltp/services/sending/caps.ts'
import {
  findNextAction,
  mayStillSend,
  type SentFacts,
  type Step,
} from '../../../subgraphs/oltp/services/sending/steps.ts'

const START = new Date('2026-11-23T09:00:00Z')
const hours = (count: number, from = START) => new Date(from.getTime() + count * 3_600_000)

const step = (stepOrder: number, parts: Partial<Step> = {}): Step => ({
  ...{ id: `s${stepOrder}`, stepOrder, stepType: 'email', waitHours: 0, condition: 'always', isActive: true },
  ...parts,
})
const left = (stepId: string, at: Date, parts: Partial<SentFacts> = {}): SentFacts => ({
  ...{ stepId, leftAt: at, humanOpenedAt: null, clickedAt: null, repliedAt: null },
  ...parts,
})
const next = (steps: Step[], currentStepOrder: number, messages: SentFacts[], at: Date) =>
  findNextAction(steps, { currentStepOrder, startedAt: START, messages }, at)

describe('what comes next for a lead', () => {
  test("is its first step at once, or after that step's hours", () => {
    expect(next([step(1)], 0, [], START)).toMatchObject({ kind: 'send', step: { id: 's1' } })
    expect(next([step(1, { waitHours: 3 })], 0, [], START)).toEqual({ kind: 'wait', until: hours(3) })
  })

  test('waits for wait steps and its own hours together, counted from when the last mail left', () => {
    const steps = [step(1), step(2, { stepType: 'wait', waitHours: 24 }), step(3, { waitHours: 2 })]
    const sent = [left('s1', hours(5))]
    expect(next(steps, 1, sent, hours(20))).toEqual({ kind: 'wait', until: hours(29) })
    expect(next(steps, 1, sent, hours(30))).toEqual({ kind: 'wait', until: hours(31) })
    expect(next(steps, 1, sent, hours(31))).toMatchObject({ kind: 'send', step: { id: 's3' }, dueAt: hours(31) })
  })

  test('passes over inactive steps with their hours, and steps that have been mailed already', () => {
    const steps = [step(1), step(2, { waitHours: 99, isActive: false }), step(3), step(4)]
    expect(next(steps, 1, [left('s1', START)], START)).toMatchObject({ kind: 'send', step: { id: 's3' } })
    expect(next(steps, 1, [left('s1', START), left('s3', START)], START)).toMatchObject({ step: { id: 's4' } })
  })

  test('skips one email step by a condition of its own or of a step before it, not more', () => {
    const opened = [left('s1', START, { humanOpenedAt: hours(1) })]
    const own = [step(1), step(2, { waitHours: 1, condition: 'if_not_opened' }), step(3, { waitHours: 1 })]
    expect(next(own, 1, opened, hours(1))).toEqual({ kind: 'wait', until: hours(2) })
    expect(next(own, 1, opened, hours(2))).toMatchObject({ kind: 'send', step: { id: 's3' } })
    const before = [step(1), step(2, { stepType: 'condition', condition: 'if_not_opened' }), step(3), step(4)]
    expect(next(before, 1, opened, hours(2))).toMatchObject({ kind: 'send', step: { id: 's4' } })
    expect(next(before, 1, [left('s1', START)], hours(2))).toMatchObject({ kind: 'send', step: { id: 's3' } })
  })

  test('asks about the last mail that left: a click on the first does not count against the third', () => {
    const steps = [step(1), step(2), step(3, { condition: 'if_not_clicked' })]
    const sent = [left('s1', START, { clickedAt: hours(1) }), left('s2', hours(2))]
    expect(next(steps, 2, sent, hours(3))).toMatchObject({ kind: 'send', step: { id: 's3' } })
  })

  test('is the end when nothing is left, and never a step before the last one taken', () => {
    expect(next([], 0, [], START)).toEqual({ kind: 'complete', order: 0 })
    expect(
      next([step(1), step(2, { condition: 'if_not_opened' })], 1, [left('s1', START, { humanOpenedAt: START })], START),
    ).toEqual({
      kind: 'complete',
      order: 2,
    })
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('email', 'wait', 'condition'), fc.nat(48), fc.boolean()), { maxLength: 8 }),
        fc.nat(8),
        fc.nat(300),
        (parts, current, after) => {
          const steps = parts.map(([stepType, waitHours, isActive], index) =>
            step(index + 1, { stepType, waitHours, isActive }),
          )
          const action = next(steps, current, [], hours(after))
          if (action.kind === 'send') {
            expect(action.step.stepOrder).toBeGreaterThan(current)
            expect(action.step).toMatchObject({ stepType: 'email', isActive: true })
            expect(action.dueAt <= hours(after)).toBe(true)
          }
          if (action.kind === 'wait') expect(action.until > hours(after)).toBe(true)
        },
      ),
    )
  })

  test('holds until the mail leaves: who opens in between is spared it', () => {
    const steps = [step(1), step(2, { stepType: 'condition', condition: 'if_not_opened' }), step(3)]
    expect(mayStillSend(steps, 's3', [left('s1', START)])).toBe(true)
    expect(mayStillSend(steps, 's3', [left('s1', START, { humanOpenedAt: hours(1) })])).toBe(false)
    expect(mayStillSend(steps, 'gone', [])).toBe(true)
  })
})

describe('caps', () => {
  test('of a mailbox grow by the days of its warmup, and end with it', () => {
    const days = [1, 2, 3, 4, 7, 8, 14, 15, 21].map(warmupAllowance)
    expect(days).toEqual([5, 7, 10, 10, 25, 25, 50, 50, 100])
    for (let day = 1; day < 30; day += 1) expect(warmupAllowance(day + 1)).toBeGreaterThanOrEqual(warmupAllowance(day))
    const mailbox = { dailyLimit: 80, warmupStatus: 'active', warmupStartedAt: START }
    expect(mailboxCap(mailbox, hours(24 * 20))).toBe(80)
    expect(mailboxCap({ ...mailbox, warmupStatus: 'completed' }, START)).toBe(80)
  })

  test('of an address: none when burned, half when degraded, more with each step of its warmup', () => {
    const address = { status: 'warmed', pool: 'shared', dailySafeLimit: 1_200, warmupStartedAt: START }
    expect(addressCap(address, START)).toBe(1_200)
    expect(['burned', 'quarantined', 'degraded'].map((status) => addressCap({ ...address, status }, START))).toEqual([
      0, 0, 600,
    ])
    const warming = (day: number, pool = 'shared') =>
      addressCap({ ...address, pool, status: 'warming' }, hours(24 * (day - 1)))
    expect([1, 5, 15].map((day) => warming(day))).toEqual([50, 62, 1_200])
    expect([15, 22].map((day) => warming(day, 'dedicated'))).toEqual([122, 1_200])
  })
})
