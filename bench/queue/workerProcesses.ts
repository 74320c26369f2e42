import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { alternate, time } from './alternate.ts'
import { fill } from './contender.ts'
import { untilDone } from './jobCount.ts'
import type { Ours, OursOptions } from './ours.ts'
import type { Answer, Order } from './workerProcess.ts'

/**
 * One queue served by one worker process and by several, from the word to begin until all is completed. The processes stay
 * from round to round, as a worker's do: one that has just started spends its first jobs on compiling itself.
 */
export async function measureWorkerProcesses(
  ours: Ours,
  { rounds, jobs, counts, options }: { rounds: number; jobs: number; counts: readonly number[]; options: OursOptions },
) {
  const entrants = counts.map((count) => ({ name: count === 1 ? '1 worker' : `${count} workers`, count }))
  const processes = await Promise.all(Array.from({ length: Math.max(...counts) }, () => startWorker(options)))
  try {
    return await alternate(entrants, rounds, async ({ name, count }) => {
      await ours.clear()
      await fill(ours, jobs)
      const workers = processes.slice(0, count)
      const round = await time(jobs, () => {
        for (const worker of workers) worker.send('work' satisfies Order)
        return untilDone({ name, isDone: ours.isDone })
      })
      const ran = await Promise.all(workers.map(stopWorking))
      const total = ran.reduce((sum, one) => sum + one, 0)
      const unfinished = await ours.countUnfinished()
      if (total !== jobs || unfinished > 0) {
        throw new Error(`${name}: ${total} runs of ${jobs} jobs, ${unfinished} not completed`)
      }
      // The work is done elsewhere: this process' own CPU time says nothing.
      return { ...round, cpuMs: Number.NaN }
    })
  } finally {
    for (const worker of processes) worker.kill('SIGKILL')
  }
}

async function startWorker(options: OursOptions): Promise<ChildProcess> {
  const worker = fork(new URL('workerProcess.ts', import.meta.url), { execArgv: ['--import', 'tsx'] })
  worker.send({ open: options } satisfies Order)
  await answerOf(worker)
  return worker
}

async function stopWorking(worker: ChildProcess): Promise<number> {
  worker.send('stop' satisfies Order)
  const answer = await answerOf(worker)
  return 'ran' in answer ? answer.ran : 0
}

async function answerOf(worker: ChildProcess): Promise<Answer> {
  const ended = once(worker, 'exit').then(() => {
    throw new Error('a worker process ended by itself')
  })
  const [answer] = (await Promise.race([once(worker, 'message'), ended])) as [Answer]
  if ('problem' in answer) throw new Error(`a worker process failed: ${answer.problem}`)
  return answer
}
