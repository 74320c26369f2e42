import type { Measured } from '../support/rounds.ts'
import { alternate, type Round, time } from './alternate.ts'
import { type Contender, fill } from './contender.ts'
import { JobCount, untilDone } from './jobCount.ts'

/** From starting one worker to the last of `jobs` jobs being completed; that they are enqueued before is not timed. */
export function measureProcessing(contenders: readonly Contender[], rounds: number, jobs: number): Promise<Measured[]> {
  return alternate(contenders, rounds, async (contender) => {
    await contender.clear()
    await fill(contender, jobs)
    return processAll(contender, jobs)
  })
}

async function processAll(contender: Contender, jobs: number): Promise<Round> {
  const count = new JobCount(jobs)
  let stop: () => Promise<unknown> = async () => {}
  try {
    const round = await time(jobs, async () => {
      stop = await contender.work(count.run)
      await count.untilAllRan(contender.name)
      await untilDone(contender)
    })
    const unfinished = await contender.countUnfinished()
    if (unfinished > 0) throw new Error(`${contender.name}: ${unfinished} jobs ran but are not completed`)
    return round
  } finally {
    await stop()
  }
}
