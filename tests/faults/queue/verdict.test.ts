import { describe, expect, test } from '@jest/globals'
import type { Evidence, Happening } from './evidence.ts'
import type { Execution } from './records.ts'
import { describeVerdict, judge, type Verdict } from './verdict.ts'
import type { Fate } from './workload.ts'

const LEASE_MS = 1_500
const [DEAD, OTHER] = [101, 102]

const execution = (jobId: string, changes: Partial<Execution> = {}): Execution => ({
  jobId,
  leaseId: 'lease',
  pid: OTHER,
  startedAt: 10_000,
  endedAt: 10_050,
  failed: false,
  settledAt: 10_060,
  settledAs: 'completed',
  ...changes,
})
/** Begun and never heard of again. */
const cutOff = (jobId: string, startedAt: number) =>
  execution(jobId, { pid: DEAD, startedAt, endedAt: null, settledAt: null, settledAs: null })

type Changes = Partial<Evidence> & { executions?: Execution[] }

function judged(changes: Changes = {}): string[] {
  return verdictOn(changes).violations
}

/** Two jobs, done as they were meant to be, and what the test changes about that. */
function verdictOn(changes: Changes): Verdict {
  const accepted = new Map<string, Fate>([
    ['a', 'completes'],
    ['b', 'doomed'],
  ])
  const executions = [execution('a'), execution('b', { settledAs: 'dead' })]
  return judge({
    leaseMs: LEASE_MS,
    requested: accepted.size,
    accepted,
    jobs: [done('a'), { id: 'b', status: 'failed', completions: 0, deadLetters: 1 }],
    happenings: [],
    pauses: [],
    planned: [],
    mishaps: [],
    ...changes,
    executions: (changes.executions ?? executions).sort((one, other) => one.startedAt - other.startedAt),
  })
}
const done = (id: string) => ({ id, status: 'completed', completions: 1, deadLetters: 0 })
const doomed = { id: 'b', status: 'failed', completions: 0, deadLetters: 1 }

test('a run in which all went well passes', () => {
  expect(judged()).toEqual([])
})

describe('the ledger', () => {
  test.each([
    ['a job that is gone', [doomed], 'job a was promised and is gone'],
    ['a job left open', [{ ...done('a'), status: 'queued', completions: 0 }, doomed], 'job a (completes) ended queued'],
    ['a job completed twice', [{ ...done('a'), completions: 2 }, doomed], 'job a (completes) was completed 2 times'],
    [
      'a completion without its line',
      [{ ...done('a'), completions: 0 }, doomed],
      'job a (completes) was completed 0 times',
    ],
    ['a dead letter nobody meant', [{ ...done('a'), deadLetters: 1 }, doomed], 'job a (completes) has 1 dead letters'],
    ['a dead letter that is missing', [done('a'), { ...doomed, deadLetters: 0 }], 'job b (doomed) has 0 dead letters'],
    ['a job nobody asked for', [done('a'), doomed, done('c')], 'job c exists though nobody was promised it'],
  ])('%s is found', (_what, jobs, violation) => {
    expect(judged({ jobs })).toContain(violation)
  })

  test('a request that became no job is found', () => {
    expect(judged({ requested: 3 })).toEqual(['3 jobs were asked for, but 2 promised'])
  })
})

describe('completions', () => {
  test('a job that two workers completed is found', () => {
    const executions = [execution('a'), execution('a', { pid: DEAD, startedAt: 10_020 })]
    expect(judged({ executions })).toEqual([
      `job a was completed by worker ${OTHER}, and run after that (worker ${DEAD}: completed)`,
    ])
  })

  test('an acknowledgement that was taken after the job was given to another is found', () => {
    const executions = [
      execution('a', { settledAt: 19_000 }),
      execution('a', { pid: DEAD, startedAt: 15_000, settledAs: 'lost' }),
    ]
    expect(judged({ executions })[0]).toContain('run after that')
  })

  test('an attempt that was rejected may be followed by another', () => {
    const executions = [execution('a', { settledAs: 'lost' }), execution('a', { pid: DEAD, startedAt: 15_000 })]
    expect(judged({ executions })).toEqual([])
  })
})

describe('a stopped worker', () => {
  const happenings: Happening[] = [{ kind: 'stopWorker', pid: DEAD, from: 11_000, to: 14_000 }]
  const late = (settledAs: Execution['settledAs']) => [
    execution('a', { pid: DEAD, endedAt: 14_001, settledAt: 14_010, settledAs }),
    execution('a', { startedAt: 13_000, settledAt: 13_050, settledAs: settledAs === 'lost' ? 'completed' : 'lost' }),
  ]

  test('may not acknowledge what others took over', () => {
    expect(judged({ happenings, executions: late('lost') })).toEqual([])
    for (const as of ['completed', 'dead', 'retried', 'postponed'] as const) {
      expect(judged({ happenings, executions: late(as) })).toContain(
        `job a was taken from worker ${DEAD} while it was stopped, which ended it all the same: ${as}`,
      )
    }
  })

  test('may hear late that its attempt was counted in time', () => {
    const [first, second] = late('retried') as [Execution, Execution]
    const executions = [
      { ...first, endedAt: 10_990 },
      { ...second, settledAs: 'completed' as const },
    ]
    expect(judged({ happenings, executions })).toEqual([])
  })
})

describe('a killed worker', () => {
  const kill: Happening = { kind: 'killWorker', pid: DEAD, at: 11_000 }
  const away: Happening = { kind: 'losePostgres', from: 12_000, to: 16_000 }
  const again = (startedAt: number) => [cutOff('a', 10_000), execution('a', { startedAt })]

  test('has its work begun again within three seconds of its lease', () => {
    expect(judged({ happenings: [kill], executions: again(15_500) })).toEqual([])
    expect(judged({ happenings: [kill], executions: again(15_501) })[0]).toContain('ran again 3001 ms after its lease')
    expect(judged({ happenings: [kill], executions: [cutOff('a', 10_000)] })[0]).toContain('ran again never')
  })

  test('waits for a database that is away, and for the reaper’s grace after it', () => {
    expect(judged({ happenings: [kill, away], executions: again(20_000) })).toEqual([])
    expect(judged({ happenings: [kill, away], executions: again(20_001) })[0]).toContain('ran again 3001 ms')
  })

  test('is not waited for where it had lost the job before', () => {
    const executions = [...again(10_900), execution('a', { startedAt: 10_950, settledAs: 'completed' })]
    expect(judged({ happenings: [kill], executions: executions.slice(0, 2) })).toEqual([])
  })
})

describe('a living worker', () => {
  const brief: Happening = { kind: 'restartPostgres', from: 11_000, to: 12_000 }
  const twice = [
    execution('a', { endedAt: 13_000, settledAt: 13_010, settledAs: 'lost' }),
    execution('a', { pid: DEAD, startedAt: 12_500, settledAt: 12_600 }),
  ]
  const robbed = `job a ran on worker ${OTHER}, which lived through an outage, and was run again all the same`

  test('keeps its work through an outage shorter than its lease', () => {
    expect(judged({ happenings: [brief], executions: twice })).toEqual([robbed])
  })

  test.each<[string, Partial<Evidence>]>([
    ['the outage was longer than a lease', { happenings: [{ ...brief, to: 12_500 }] }],
    ['it was killed', { happenings: [brief, { kind: 'killWorker', pid: OTHER, at: 11_500 }] }],
    ['it was killed at it later', { happenings: [brief, { kind: 'killWorker', pid: OTHER, at: 13_600 }] }],
    ['it stood still', { happenings: [brief], pauses: [{ pid: OTHER, from: 11_400, to: 12_000 }] }],
    ['there was no outage', {}],
  ])('may lose it where %s', (_what, changes) => {
    const [first, second] = twice as [Execution, Execution]
    const isKilled = changes.happenings?.some(({ kind }) => kind === 'killWorker')
    const cut = { ...first, endedAt: null, settledAt: null, settledAs: null }
    const executions = isKilled ? [cut, { ...second, startedAt: 15_200, settledAt: 15_300 }] : twice
    expect(judged({ ...changes, executions })).toEqual([])
  })

  test('is not robbed by an outage that came after its job was run again', () => {
    const [first, second] = twice as [Execution, Execution]
    const unheard = [{ ...first, settledAt: null, settledAs: null }, second]
    const later: Happening = { ...brief, from: 14_000, to: 14_500 }
    expect(judged({ happenings: [brief], executions: unheard })).toEqual([robbed])
    expect(judged({ happenings: [later], executions: unheard })).toEqual([])
    expect(judged({ happenings: [{ ...brief, to: 12_500 }, later], executions: unheard })).toEqual([])
  })

  test('may be robbed by a crash that its claim had not reached the disk before', () => {
    const [first, second] = twice as [Execution, Execution]
    const begunAt = (startedAt: number) => [{ ...first, startedAt }, second]
    expect(judged({ happenings: [brief], executions: begunAt(10_401) })).toEqual([])
    expect(judged({ happenings: [brief], executions: begunAt(10_400) })).toEqual([robbed])
  })

  test('runs again what was meant to fail', () => {
    const executions = twice.map((one, position) => (position === 0 ? { ...one, failed: true } : one))
    expect(judged({ happenings: [brief], executions })).toEqual([])
  })
})

describe('the verdict', () => {
  test('does not pass a run in which a planned fault hit nothing', () => {
    expect(verdictOn({ planned: ['killWorker', 'killWorker'] })).toMatchObject({
      passed: false,
      violations: [],
      unproved: ['killWorker proved nothing: executions cut off by kill -9: 0'],
    })
  })

  test('fails a run in which a worker ended by itself', () => {
    expect(judged({ mishaps: ['worker 5 ended by itself: code 1'] })).toHaveLength(1)
  })

  test('says in words what it found', () => {
    const violations = Array.from({ length: 25 }, (_, n) => `job ${n}`)
    const words = describeVerdict({ passed: false, violations, unproved: [], counts: { executions: 3 } })
    expect(words).toContain('FAILED: 25 violations')
    expect(words).toContain('… and 5 more')
    expect(describeVerdict({ passed: true, violations: [], unproved: [], counts: {} })).toContain('PASSED')
    expect(describeVerdict({ passed: false, violations: [], unproved: ['x'], counts: {} })).toContain('UNDECIDED')
  })
})
