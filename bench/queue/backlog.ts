import { alternate, type Round, time } from './alternate.ts'
import { enqueueAll, fill } from './contender.ts'
import { JobCount } from './jobCount.ts'
import type { Ours } from './ours.ts'

/**
 * How fast one worker runs the first `jobs` jobs of a long backlog, and of one twice their number. The long one is
 * enqueued once and eaten away round by round; it is filled up again behind.
 */
export async function measureBacklog(
  { short, long }: { short: Ours; long: Ours },
  { rounds, jobs, backlog }: { rounds: number; jobs: number; backlog: number },
) {
  await fill(long, backlog)
  const entrants = [
    { name: `${2 * jobs} jobs wait`, ours: short, isShort: true },
    { name: `${backlog} jobs wait`, ours: long, isShort: false },
  ]
  return alternate(entrants, rounds, async ({ name, ours, isShort }) => {
    if (isShort) {
      await ours.clear()
      await fill(ours, 2 * jobs)
    }
    const { round, ran } = await runFirst(ours, name, jobs)
    if (!isShort) await enqueueAll(ours.enqueueMany, 0, ran)
    return round
  })
}

/** Jobs are counted as they come, whatever their numbers: a backlog that was filled up holds some numbers twice. */
async function runFirst(ours: Ours, name: string, jobs: number): Promise<{ round: Round; ran: number }> {
  const count = new JobCount(jobs)
  let ran = 0
  let stop: () => Promise<unknown> = async () => {}
  try {
    const round = await time(jobs, async () => {
      stop = await ours.work(() => count.run(ran++))
      await count.untilAllRan(name)
    })
    return { round, ran }
  } finally {
    await stop()
  }
}
