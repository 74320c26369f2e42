import { setTimeout as sleep } from 'node:timers/promises'
import { percentile } from '../support/statistics.ts'
import { formatTable } from '../support/table.ts'
import type { Contender } from './contender.ts'

const WARM_UP = 5
const LONGEST_WAIT_MS = 30_000

type Idler = { name: string; sample(): Promise<number>; samples: number[]; stop(): Promise<unknown> }

/**
 * Milliseconds from before a job is enqueued until an idle worker starts it. All workers idle at the same time and are
 * asked in turn, with pauses of no fixed length, so that a sample falls anywhere between two polls.
 */
export async function measureIdleLatency(contenders: readonly Contender[], samples: number): Promise<string> {
  const idlers: Idler[] = []
  try {
    for (const contender of contenders) idlers.push(await startIdler(contender))
    for (let round = 0; round < WARM_UP + samples; round++) {
      const first = round % idlers.length
      for (const idler of [...idlers.slice(first), ...idlers.slice(0, first)]) {
        const ms = await idler.sample()
        if (round >= WARM_UP) idler.samples.push(ms)
        await sleep(20 + Math.random() * 60)
      }
    }
  } finally {
    await Promise.allSettled(idlers.map((idler) => idler.stop()))
  }
  return formatTable(
    ['', 'p50 ms', 'p95 ms', 'samples'],
    idlers.map(({ name, samples: all }) => [
      name,
      percentile(all, 0.5).toFixed(2),
      percentile(all, 0.95).toFixed(2),
      String(all.length),
    ]),
  )
}

async function startIdler(contender: Contender): Promise<Idler> {
  await contender.clear()
  let onRun: (job: number) => void = () => {}
  const stop = await contender.work((job) => onRun(job))
  let next = 0
  return {
    name: contender.name,
    samples: [],
    stop,
    async sample() {
      const job = next++
      let timer: NodeJS.Timeout | undefined
      const started = new Promise<number>((resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`${contender.name}: a job did not start`)), LONGEST_WAIT_MS)
        onRun = (ran) => {
          if (ran === job) resolve(performance.now())
        }
      })
      const before = performance.now()
      const [at] = await Promise.all([started, contender.enqueue(job)]).finally(() => clearTimeout(timer))
      return at - before
    },
  }
}
