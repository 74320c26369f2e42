import { makeDice } from './dice.ts'

/** What goes wrong, and when, in milliseconds after the first job. Workers are named by their slot: 0, 1, … */
export type Fault = { atMs: number } & (
  | { kind: 'killWorker'; slot: number }
  | { kind: 'stopWorker'; slot: number; forMs: number }
  | { kind: 'jumpClock'; slot: number; byMs: number }
  | { kind: 'flushRedis' }
  | { kind: 'killRedis'; forMs: number }
  | { kind: 'restartPostgres'; forMs: number }
  | { kind: 'losePostgres'; forMs: number }
)
export type FaultKind = Fault['kind']

export const FAULT_KINDS = [
  'killWorker',
  'stopWorker',
  'jumpClock',
  'flushRedis',
  'killRedis',
  'restartPostgres',
  'losePostgres',
] as const satisfies readonly FaultKind[]

export type ScheduleOptions = {
  /** In each round every kind of fault comes once. */
  rounds: number
  /** Worker processes; at least 3, so that there is always one that nothing happens to. */
  workers: number
  leaseMs: number
}

/** A new worker has started by then, and one that was stopped has found out what it lost. */
const RECOVERY_MS = 3_000
/** What Postgres itself needs to come back, when it is no hurry's fault. */
const RESTART_MS = 1_000

/** The same faults for the same seed. They overlap, but nothing is hit again that still suffers from the last hit. */
export function makeSchedule(seed: number, { rounds, workers, leaseMs }: ScheduleOptions): Fault[] {
  const dice = makeDice(seed)
  const faults: Fault[] = []
  const busyUntil = { postgres: 0, redis: 0, slots: new Array<number>(workers).fill(0) }
  let postgresUpAt = 0
  let atMs = 1_000

  for (let round = 0; round < rounds; round += 1) {
    for (const kind of dice.shuffle(FAULT_KINDS)) {
      atMs += dice.between(Math.round(leaseMs * 0.6), Math.round(leaseMs * 1.4))
      faults.push(draw(kind))
    }
  }
  return faults

  function draw(kind: FaultKind): Fault {
    switch (kind) {
      case 'killWorker': {
        const slot = takeSlot(RECOVERY_MS)
        return { atMs, kind, slot }
      }
      case 'stopWorker': {
        // Well beyond the lease, so that others have taken its jobs and begun them.
        const forMs = dice.between(Math.round(leaseMs * 1.8), Math.round(leaseMs * 2.4))
        const slot = takeSlot(forMs + RECOVERY_MS)
        return { atMs, kind, slot, forMs }
      }
      case 'jumpClock': {
        const byMs = dice.between(30_000, 7_200_000) * dice.pick([1, -1])
        const slot = takeSlot(0)
        return { atMs, kind, slot, byMs }
      }
      case 'flushRedis':
        atMs = Math.max(atMs, busyUntil.redis)
        return { atMs, kind }
      case 'killRedis': {
        // Without Postgres nothing runs, and so nothing would show that it runs without Redis.
        atMs = Math.max(atMs, busyUntil.redis, postgresUpAt)
        const forMs = dice.between(500, 2_000)
        busyUntil.redis = atMs + forMs + 500
        return { atMs, kind, forMs }
      }
      case 'restartPostgres':
        return losePostgres(kind, dice.between(50, Math.round(leaseMs * 0.3)))
      case 'losePostgres':
        return losePostgres(kind, dice.between(Math.round(leaseMs * 1.2), Math.round(leaseMs * 2.2)))
    }
  }

  function losePostgres(kind: 'restartPostgres' | 'losePostgres', forMs: number): Fault {
    atMs = Math.max(atMs, busyUntil.postgres)
    // Between two outages there is time to run again what the first one cost.
    postgresUpAt = atMs + forMs + RESTART_MS
    busyUntil.postgres = postgresUpAt + leaseMs * 2
    return { atMs, kind, forMs }
  }

  /** Waits for a worker to be free of trouble, if need be. */
  function takeSlot(forMs: number): number {
    const untroubled = busyUntil.slots.flatMap((until, slot) => (until <= atMs ? [slot] : []))
    if (untroubled.length === 0) atMs = Math.min(...busyUntil.slots)
    const slot = dice.pick(untroubled.length > 0 ? untroubled : [busyUntil.slots.indexOf(atMs)])
    busyUntil.slots[slot] = atMs + forMs
    return slot
  }
}

/** When the last fault is over. */
export function scheduleEndMs(faults: readonly Fault[]): number {
  return Math.max(0, ...faults.map((fault) => fault.atMs + ('forMs' in fault ? fault.forMs : 0)))
}

/** One line per fault, for whoever wants to know what happened. */
export function describeFault(fault: Fault): string {
  const { atMs, kind, ...details } = fault
  const words = Object.entries(details).map(([name, value]) => `${name} ${value}`)
  return [`${(atMs / 1000).toFixed(1).padStart(6)} s  ${kind.padEnd(15)}`, ...words].join('  ').trimEnd()
}
