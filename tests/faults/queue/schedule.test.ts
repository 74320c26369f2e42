import { describe, expect, test } from '@jest/globals'
import { FAULT_KINDS, makeSchedule, scheduleEndMs } from './schedule.ts'
import { makeRequest } from './workload.ts'

const options = { rounds: 10, workers: 4, leaseMs: 1_500 }
const SEEDS = Array.from({ length: 200 }, (_, seed) => seed)

describe('the schedule of faults', () => {
  test('is the same for the same seed, and another for another', () => {
    expect(makeSchedule(7, options)).toEqual(makeSchedule(7, options))
    expect(makeSchedule(7, options)).not.toEqual(makeSchedule(8, options))
  })

  test('has every kind of fault once a round, one after the other', () => {
    for (const seed of SEEDS) {
      const schedule = makeSchedule(seed, options)
      for (const kind of FAULT_KINDS) expect(schedule.filter((fault) => fault.kind === kind)).toHaveLength(10)
      expect(schedule.map(({ atMs }) => atMs)).toEqual(schedule.map(({ atMs }) => atMs).sort((a, b) => a - b))
    }
  })

  test('stops workers for longer than their lease, and Postgres for less and for more', () => {
    for (const fault of SEEDS.flatMap((seed) => makeSchedule(seed, options))) {
      if (fault.kind === 'stopWorker' || fault.kind === 'losePostgres') expect(fault.forMs).toBeGreaterThan(1_500)
      if (fault.kind === 'restartPostgres') expect(fault.forMs).toBeLessThan(500)
    }
  })

  test('touches no worker that is stopped, and no server that is down', () => {
    for (const seed of SEEDS) {
      const schedule = makeSchedule(seed, options)
      const resource = (fault: (typeof schedule)[number]) =>
        'slot' in fault ? fault.slot : fault.kind.endsWith('Redis') ? 'redis' : 'postgres'
      schedule.forEach((fault, position) => {
        if (!('forMs' in fault)) return
        const next = schedule.slice(position + 1).find((other) => resource(other) === resource(fault))
        if (next) expect(next.atMs).toBeGreaterThanOrEqual(fault.atMs + fault.forMs)
      })
    }
  })

  test('keeps the short form short', () => {
    for (const seed of SEEDS) {
      expect(scheduleEndMs(makeSchedule(seed, { ...options, rounds: 1 }))).toBeLessThan(30_000)
    }
  })
})

describe('the jobs', () => {
  test('are the same for the same seed and number, and of every fate and several tenants', () => {
    const requests = Array.from({ length: 2_000 }, (_, n) => makeRequest(3, n))
    expect(requests).toEqual(requests.map((_, n) => makeRequest(3, n)))
    expect(new Set(requests.map(({ payload }) => payload.fate)).size).toBe(3)
    expect(new Set(requests.map(({ tenantId }) => tenantId)).size).toBe(4)
    expect(new Set(requests.map(({ key }) => key)).size).toBe(2_000)
  })
})
