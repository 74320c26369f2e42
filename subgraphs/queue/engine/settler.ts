import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { groupBy } from '#platform/grouping.ts'
import type { Log } from '#platform/log.ts'
import {
  type CancelledJob,
  type CompletedJob,
  cancelJobs,
  completeJobs,
  type FailedJob,
  failJobs,
  type PostponedJob,
  postponeJobs,
} from './acknowledge.ts'
import { describeFailure } from './failure.ts'

/** What is to be written about one job. */
export type Settlement =
  | { kind: 'completed'; job: CompletedJob }
  | { kind: 'failed'; job: FailedJob }
  | { kind: 'postponed'; job: PostponedJob }
  | { kind: 'cancelled'; job: CancelledJob }

/** What was written: `lost` when the lease was gone, so that nothing was. */
export type SettledAs = 'completed' | 'retried' | 'dead' | 'postponed' | 'cancelled' | 'lost'
export type Settled = { settlement: Settlement; as: SettledAs }

export type SettlerOptions = {
  pool: pg.Pool
  log: Log
  /** Whether these are all the jobs that a lease still holds. */
  isLast: (leaseId: string, jobs: number) => boolean
  onSettled: (settled: Settled[]) => Promise<void>
}

const LONGEST_PAUSE_MS = 2_000

/** A second write is begun beside one under way for no fewer outcomes: it hides the time a commit takes to reach the disk. */
const WORTH_A_SECOND_WRITE = 250
const MOST_WRITES = 2

/** Writes outcomes in batches: those that come while a batch is written make up the next one. */
export class Settler {
  readonly #options: SettlerOptions
  #waiting: Settlement[] = []
  readonly #writes = new Set<Promise<void>>()
  #isGivingUp = false

  constructor(options: SettlerOptions) {
    this.#options = options
  }

  add(settlements: readonly Settlement[]): void {
    this.#waiting.push(...settlements)
    const isWorthIt = this.#writes.size === 0 || this.#waiting.length >= WORTH_A_SECOND_WRITE
    if (!isWorthIt || this.#writes.size === MOST_WRITES) return
    const write: Promise<void> = this.#flush().then(() => {
      this.#writes.delete(write)
      // What was added between the last look and now.
      if (this.#waiting.length > 0 && !this.#isGivingUp) this.add([])
    })
    this.#writes.add(write)
  }

  /** Waits until everything is written. With `giveUp`, what cannot be written is left to the leases' end. */
  async finish({ giveUp }: { giveUp: boolean }): Promise<void> {
    this.#isGivingUp = giveUp
    while (this.#writes.size > 0) await Promise.all(this.#writes)
  }

  async #flush(): Promise<void> {
    const { log, onSettled } = this.#options
    let failures = 0
    let isSpoiled = false
    // What ends in this turn of the event loop still comes along.
    await nextTurn()
    while (this.#waiting.length > 0) {
      // Something in it cannot be written: one by one until it is found.
      const batch = this.#waiting.splice(0, isSpoiled ? 1 : this.#waiting.length)
      try {
        await onSettled(await this.#write(batch))
        if (failures > 0) log.info('outcomes are written again')
        failures = 0
      } catch (error) {
        // Written or not is unknown; once more is harmless, because a settled job is no longer under its lease.
        if (failures === 0) log.warn({ err: error, jobs: batch.length }, 'outcomes could not be written yet')
        failures += 1
        isSpoiled ||= isDataError(error)
        if (this.#isGivingUp) break
        const isFound = isDataError(error) && batch.length === 1
        this.#waiting = [...(isFound ? batch.map((one) => this.#spell(one)) : batch), ...this.#waiting]
        await sleep(Math.min(LONGEST_PAUSE_MS, 100 * 2 ** failures))
      }
    }
  }

  /** An outcome the database cannot hold becomes a failed attempt that says so. */
  #spell({ job: { id, leaseId, position } }: Settlement): Settlement {
    this.#options.log.error({ job: id }, 'an outcome cannot be written')
    const facts = describeFailure(new Error('the outcome of the attempt cannot be stored'))
    return { kind: 'failed', job: { id, leaseId, position, durationMs: 0, waitMs: 0, ...facts, permanent: false } }
  }

  async #write(batch: readonly Settlement[]): Promise<Settled[]> {
    const { pool, isLast } = this.#options
    const byKind = groupBy(batch, ({ kind }) => kind)
    const jobsOf = <Job>(kind: Settlement['kind']) => (byKind.get(kind) ?? []).map(({ job }) => job as Job)
    const [done, failures, back, stopped] = await Promise.all([
      completeJobs(pool, jobsOf<CompletedJob>('completed'), isLast),
      failJobs(pool, jobsOf<FailedJob>('failed')),
      postponeJobs(pool, jobsOf<PostponedJob>('postponed')),
      cancelJobs(pool, jobsOf<CancelledJob>('cancelled')),
    ])
    return batch.map((settlement): Settled => {
      const { kind, job } = settlement
      if (kind === 'failed') {
        const failure = failures.get(job.id)
        return { settlement, as: failure ? (failure.dead ? 'dead' : 'retried') : 'lost' }
      }
      const ids = kind === 'completed' ? done : kind === 'postponed' ? back : stopped
      return { settlement, as: ids.has(job.id) ? kind : 'lost' }
    })
  }
}

/** The statement itself is at fault (SQLSTATE classes 22 and 23), so repeating it cannot help. */
function isDataError(error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' && /^2[23]...$/.test(code)
}
