import { performance } from 'node:perf_hooks'
import { median } from './statistics.ts'

const WARM_UP_MS = 1000

/** One way of doing the same thing as the others. `request` is given the number of the request. */
export type Contender = { name: string; request: (n: number) => Promise<unknown> }

export type RoundOptions = {
  /** Requests running at any moment. */
  inFlight: number
  rounds: number
  roundMs: number
}

/** Requests per second of each round, in order, and what they come to. */
export type Measured = {
  name: string
  speeds: number[]
  /** Median. */
  perSecond: number
  /** Processor time of this process, in milliseconds, median; the database's own is not in it. */
  cpuMsPerRequest: number
}

type Round = { perSecond: number; cpuMsPerRequest: number }

/**
 * Measures contenders in many short alternating rounds, so that whatever else the machine does falls on all of them alike.
 * The order turns from round to round, and a first round of each is not counted.
 */
export async function measureRounds(contenders: readonly Contender[], options: RoundOptions): Promise<Measured[]> {
  const results = new Map<string, Round[]>(contenders.map(({ name }) => [name, []]))
  for (const contender of contenders) await runRound(contender, { ...options, roundMs: WARM_UP_MS })
  for (let round = 0; round < options.rounds; round++) {
    const turned = [...contenders.slice(round % contenders.length), ...contenders.slice(0, round % contenders.length)]
    for (const contender of turned) results.get(contender.name)?.push(await runRound(contender, options))
  }
  return [...results].map(([name, rounds]) => {
    const speeds = rounds.map(({ perSecond }) => perSecond)
    return { name, speeds, perSecond: median(speeds), cpuMsPerRequest: median(rounds.map((r) => r.cpuMsPerRequest)) }
  })
}

/** How many times as fast one is as another: the median of the rounds' own ratios, which a busy machine distorts least. */
export function speedRatio(own: Measured, base: Measured): number {
  return median(own.speeds.map((speed, round) => speed / (base.speeds[round] ?? Number.NaN)))
}

async function runRound({ request }: Contender, { inFlight, roundMs }: RoundOptions): Promise<Round> {
  let sent = 0
  const cpu = process.cpuUsage()
  const start = performance.now()
  const end = start + roundMs
  const keepAsking = async () => {
    while (performance.now() < end) await request(sent++)
  }
  await Promise.all(Array.from({ length: inFlight }, keepAsking))
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return { perSecond: sent / seconds, cpuMsPerRequest: (user + system) / 1000 / sent }
}
