/** One queue as the bench drives it. A job is known by its number, which travels in its payload. */
export type Contender = {
  name: string
  enqueue(job: number): Promise<unknown>
  enqueueMany(jobs: readonly number[]): Promise<unknown>
  /** Starts one worker that tells of each job it runs. Returns what stops it. */
  work(onRun: (job: number) => void): Promise<() => Promise<unknown>>
  /** Whether no job is waiting or in work; asked every few milliseconds. */
  isDone(): Promise<boolean>
  /** Jobs that have not been completed, failed ones among them. */
  countUnfinished(): Promise<number>
  clear(): Promise<unknown>
  /** Brings the planner's statistics up to date, which autovacuum would do in its own time. */
  analyze(): Promise<unknown>
  close(): Promise<unknown>
}

/** Calls at once in one worker, where a queue runs job by job. */
export const CONCURRENCY = 24
/** Jobs taken at once, by those that can be told. */
export const BATCH = 500
/** Connections to PostgreSQL for everyone; also the default of graphile-worker, of pg-boss and of the platform. */
export const POOL_SIZE = 10

/** What every job carries; `step` is its number. */
export function payloadOf(job: number) {
  return {
    to: `lead-${job}@example.com`,
    campaign: 'october-outreach',
    step: job,
    tpl: 'intro-email',
    vars: { first: 'Ann', company: 'Acme' },
  }
}
export type Payload = ReturnType<typeof payloadOf>

export function range(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, n) => from + n)
}

/** Enqueues jobs in large batches; not what is timed. */
export async function enqueueAll(enqueue: (jobs: number[]) => Promise<unknown>, from: number, count: number) {
  for (let n = 0; n < count; n += 5_000) await enqueue(range(from + n, Math.min(5_000, count - n)))
}

/** Enqueues a round's jobs, numbered from 0. */
export async function fill(contender: Contender, count: number): Promise<void> {
  await enqueueAll(contender.enqueueMany, 0, count)
  await contender.analyze()
}

/** The contenders open at the same time for as long as `work` runs. */
export async function withContenders<Result>(
  opening: readonly (() => Promise<Contender>)[],
  work: (contenders: Contender[]) => Promise<Result>,
): Promise<Result> {
  const contenders: Contender[] = []
  try {
    for (const open of opening) contenders.push(await open())
    return await work(contenders)
  } finally {
    await Promise.allSettled(contenders.map((contender) => contender.close()))
  }
}
