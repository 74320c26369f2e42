import { setTimeout as sleep } from 'node:timers/promises'
import { enqueueJobs } from '../../../subgraphs/queue/engine/enqueue.ts'
import type { Sql } from '../../../subgraphs/queue/engine/sql.ts'
import type { WakeUp } from '../../../subgraphs/queue/engine/wakeUp.ts'
import type { Fate } from './workload.ts'
import { makeRequest } from './workload.ts'

export type EnqueuerOptions = {
  seed: number
  jobs: number
  /** Over which time they are spread. */
  overMs: number
  wakeUp: WakeUp
  signal: AbortSignal
}

export type Promised = {
  /** By job id. */
  accepted: Map<string, Fate>
  /** Jobs that were there already when they were asked for again. */
  repeats: number
}

const LARGEST_BATCH = 500
const TICK_MS = 25
/** How long the database may be away before we stop believing in it. */
const PATIENCE_MS = 60_000

/** Asks for jobs at a steady pace. What got no answer is asked for again with the same key, as a relay would. */
export async function enqueueSteadily(sql: Sql, options: EnqueuerOptions): Promise<Promised> {
  const { seed, jobs, overMs, wakeUp, signal } = options
  const promised: Promised = { accepted: new Map(), repeats: 0 }
  const startedAt = performance.now()
  for (let asked = 0; asked < jobs; ) {
    const due = Math.min(jobs, Math.ceil(((performance.now() - startedAt) / overMs) * jobs))
    const size = Math.min(due - asked, LARGEST_BATCH)
    if (size > 0) {
      const requests = Array.from({ length: size }, (_, index) => makeRequest(seed, asked + index))
      const { results, readyQueues } = await insist(() => enqueueJobs(sql, requests), signal)
      wakeUp.announce(readyQueues)
      results.forEach(({ jobId, status, error }, index) => {
        if (jobId === null) throw new Error(`a job was refused: ${error}`)
        promised.accepted.set(jobId, requests[index]?.payload.fate ?? 'completes')
        if (status === 'duplicate') promised.repeats += 1
      })
      asked += size
    }
    await sleep(TICK_MS, undefined, { signal })
  }
  return promised
}

async function insist<Answer>(ask: () => Promise<Answer>, signal: AbortSignal): Promise<Answer> {
  const deadline = performance.now() + PATIENCE_MS
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (performance.now() > deadline) throw error
      await sleep(TICK_MS, undefined, { signal })
    }
  }
}
