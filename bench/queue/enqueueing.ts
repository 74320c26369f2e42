import type { Measured } from '../support/rounds.ts'
import { alternate, time } from './alternate.ts'
import { type Contender, range } from './contender.ts'

export const CALLERS = 16

/** Jobs enqueued one by one by 16 callers, each of which waits until its own is accepted. */
export function measureSingles(contenders: readonly Contender[], rounds: number, jobs: number): Promise<Measured[]> {
  return alternate(contenders, rounds, async (contender) => {
    await contender.clear()
    let next = 0
    const call = async () => {
      while (next < jobs) await contender.enqueue(next++)
    }
    const round = await time(jobs, () => Promise.all(Array.from({ length: CALLERS }, call)))
    await checkAccepted(contender, jobs)
    return round
  })
}

/** Jobs enqueued in batches, one batch after the other. */
export function measureBatches(
  contenders: readonly Contender[],
  rounds: number,
  { jobs, batch }: { jobs: number; batch: number },
): Promise<Measured[]> {
  return alternate(contenders, rounds, async (contender) => {
    await contender.clear()
    const round = await time(jobs, async () => {
      for (let from = 0; from < jobs; from += batch) {
        await contender.enqueueMany(range(from, Math.min(batch, jobs - from)))
      }
    })
    await checkAccepted(contender, jobs)
    return round
  })
}

async function checkAccepted(contender: Contender, jobs: number): Promise<void> {
  const waiting = await contender.countUnfinished()
  if (waiting !== jobs) throw new Error(`${contender.name}: ${waiting} jobs wait where ${jobs} were enqueued`)
}
