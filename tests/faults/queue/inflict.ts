import { setTimeout as sleep } from 'node:timers/promises'
import type { Happening } from './evidence.ts'
import { describeFault, type Fault } from './schedule.ts'
import type { World } from './world.ts'

export type InflictOptions = {
  /** performance.now() of the schedule's beginning. */
  startedAt: number
  signal: AbortSignal
  report: (line: string) => void
}

/**
 * Does to the world what the schedule says, each fault at its time; faults run on beside each other. What is still
 * suffering from its last fault gets the next one afterwards. Rejects as soon as one cannot be inflicted or undone.
 */
export async function inflictAll(world: World, schedule: readonly Fault[], options: InflictOptions) {
  const { startedAt, report } = options
  const trouble = new AbortController()
  const signal = AbortSignal.any([options.signal, trouble.signal])
  const happenings: Happening[] = []
  const lanes = new Map<string, Promise<void>>()
  try {
    for (const fault of schedule) {
      await sleep(Math.max(0, startedAt + fault.atMs - performance.now()), undefined, { signal })
      const lane = 'slot' in fault ? `worker ${fault.slot}` : fault.kind.endsWith('Redis') ? 'redis' : 'postgres'
      const act = async () => {
        await lanes.get(lane)
        report(describeFault(fault))
        const happening = await inflict(world, fault, signal)
        happenings.push(happening)
        // The real time counts: a server that was killed takes its own to come back.
        if ('to' in happening) report(`          ${fault.kind} over after ${happening.to - happening.from} ms`)
      }
      const acting = act()
      acting.catch((error) => trouble.abort(error))
      lanes.set(lane, acting)
    }
    await Promise.all(lanes.values())
  } catch (error) {
    throw trouble.signal.aborted ? trouble.signal.reason : error
  } finally {
    // Whoever closes the world must not meet a server that is just being started.
    await Promise.allSettled(lanes.values())
  }
  return happenings.sort((a, b) => beginning(a) - beginning(b))
}

async function inflict(world: World, fault: Fault, signal: AbortSignal): Promise<Happening> {
  const { kind } = fault
  switch (kind) {
    case 'killWorker':
      return { kind, ...(await world.crew.kill(fault.slot)) }
    case 'stopWorker':
      return { kind, ...(await world.crew.pause(fault.slot, fault.forMs, signal)) }
    case 'jumpClock':
      return { kind, ...(await world.crew.jumpClock(fault.slot, fault.byMs)) }
    case 'flushRedis':
      await world.flushRedis()
      return { kind, at: Date.now() }
    case 'killRedis':
      return { kind, ...(await world.loseRedis(fault.forMs, signal)) }
    case 'restartPostgres':
    case 'losePostgres':
      return { kind, ...(await world.losePostgres(fault.forMs, signal)) }
  }
}

function beginning(happening: Happening): number {
  return 'at' in happening ? happening.at : happening.from
}
