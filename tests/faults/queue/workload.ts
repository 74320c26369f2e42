import { z } from 'zod'
import { DEMO_TENANTS } from '#platform/contracts/demo.ts'
import type { JobRequest } from '../../../subgraphs/queue/engine/jobRequest.ts'
import { makeDice } from './dice.ts'

/** What a job is meant to come to: `flaky` fails its first attempt, `doomed` fails for good. */
export type Fate = 'completes' | 'flaky' | 'doomed'

export const faultPayload = z.object({ fate: z.enum(['completes', 'flaky', 'doomed']), workMs: z.number() })
export type FaultPayload = z.output<typeof faultPayload>

/** One job a call, and many: the two ways the engine runs and settles. */
export const SINGLE = { jobType: 'faultSingle', queueName: 'notification-delivery' } as const
export const BATCH = { jobType: 'faultBatch', queueName: 'analytics-processing' } as const

const TENANTS = [
  ...Object.values(DEMO_TENANTS),
  '01930000-0000-7000-8000-00000000fa01',
  '01930000-0000-7000-8000-00000000fa02',
]
/** Each lost lease costs an attempt, and here leases are lost all the time: none may run out. */
const MAX_ATTEMPTS = 100

/** The n-th job of a seed, always the same. Its key is its own, so that asking twice must not enqueue it twice. */
export function makeRequest(seed: number, n: number): JobRequest & { payload: FaultPayload } {
  const dice = makeDice(seed * 1_000_003 + n)
  const kind = dice.chance(0.4) ? SINGLE : BATCH
  const fate: Fate = dice.chance(0.01) ? 'flaky' : dice.chance(0.003) ? 'doomed' : 'completes'
  return {
    ...kind,
    tenantId: dice.pick(TENANTS),
    source: 'faults',
    key: `${seed}-${n}`,
    maxAttempts: MAX_ATTEMPTS,
    payload: { fate, workMs: kind === SINGLE ? drawWorkMs() : dice.between(2, 30) },
  }

  /** Mostly short; some so long that they outlast a lease and live by heartbeats. */
  function drawWorkMs(): number {
    if (dice.chance(0.04)) return dice.between(1_000, 3_000)
    if (dice.chance(0.1)) return dice.between(100, 500)
    return dice.between(2, 30)
  }
}
