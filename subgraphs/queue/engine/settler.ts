import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { Log } from '#platform/log.ts'
import {
  type CompletedJob,
  completeJobs,
  type FailedJob,
  failJobs,
  type PostponedJob,
  postponeJobs,
} from './acknowledge.ts'
import { returnOrphans } from './lease.ts'

/** What is to be written about one job. */
export type Settlement =
  | { kind: 'completed'; job: CompletedJob }
  | { kind: 'failed'; job: FailedJob }
  | { kind: 'postponed'; job: PostponedJob }

/** What was written: `lost` when the lease was gone, so that nothing was. */
export type SettledAs = 'completed' | 'retried' | 'dead' | 'postponed' | 'lost'
export type Settled = { settlement: Settlement; as: SettledAs }

const LONGEST_PAUSE_MS = 2_000

/** Writes outcomes in batches: those that come while a batch is written make up the next one. */
export class Settler {
  readonly #pool: pg.Pool
  readonly #log: Log
  readonly #onSettled: (settled: Settled[]) => Promise<void>
  #waiting: Settlement[] = []
  #isFlushing = false
  #flushed: Promise<void> = Promise.resolve()
  #isGivingUp = false

  constructor(pool: pg.Pool, log: Log, onSettled: (settled: Settled[]) => Promise<void>) {
    this.#pool = pool
    this.#log = log
    this.#onSettled = onSettled
  }

  /** Outcomes not written yet. */
  get pending(): number {
    return this.#waiting.length
  }

  add(settlements: readonly Settlement[]): void {
    this.#waiting.push(...settlements)
    if (this.#isFlushing) return
    this.#isFlushing = true
    this.#flushed = this.#flush()
  }

  /** Waits until everything is written. With `giveUp`, what cannot be written is left to the leases' end. */
  async finish({ giveUp }: { giveUp: boolean }): Promise<void> {
    this.#isGivingUp = giveUp
    await this.#flushed
  }

  async #flush(): Promise<void> {
    let failures = 0
    let isSpoiled = false
    while (this.#waiting.length > 0) {
      // Something in it cannot be written: one by one until it is found.
      const batch = this.#waiting.splice(0, isSpoiled ? 1 : this.#waiting.length)
      try {
        await this.#onSettled(await this.#write(batch))
        if (failures > 0) this.#log.info('outcomes are written again')
        failures = 0
      } catch (error) {
        // Written or not is unknown; once more is harmless, because a settled job is no longer under its lease.
        if (failures === 0) this.#log.warn({ err: error, jobs: batch.length }, 'outcomes could not be written yet')
        failures += 1
        isSpoiled ||= isDataError(error)
        if (this.#isGivingUp) break
        if (isDataError(error) && batch.length === 1) await this.#abandon(batch)
        else this.#waiting = [...batch, ...this.#waiting]
        await sleep(Math.min(LONGEST_PAUSE_MS, 100 * 2 ** failures))
      }
    }
    // Not in a finally of its own turn: an outcome added in between would wait for the next one.
    this.#isFlushing = false
  }

  /** An outcome the database cannot hold: once its lease is ended, the job counts as lost and is tried again. */
  async #abandon(batch: readonly Settlement[]): Promise<void> {
    this.#log.error({ jobs: batch.map(({ job }) => job.id) }, 'an outcome cannot be written')
    await this.#onSettled(batch.map((settlement) => ({ settlement, as: 'lost' })))
    // Should the database be away now: workers look for orphans again and again.
    await returnOrphans(this.#pool).catch(() => undefined)
  }

  async #write(batch: readonly Settlement[]): Promise<Settled[]> {
    const completed = batch.flatMap((settlement) => (settlement.kind === 'completed' ? [settlement] : []))
    const failed = batch.flatMap((settlement) => (settlement.kind === 'failed' ? [settlement] : []))
    const postponed = batch.flatMap((settlement) => (settlement.kind === 'postponed' ? [settlement] : []))
    const [done, failures, back] = await Promise.all([
      completed.length > 0 ? completeJobs(this.#pool, completed.map(jobOf)) : new Set<string>(),
      failed.length > 0 ? failJobs(this.#pool, failed.map(jobOf)) : new Map<string, { dead: boolean }>(),
      postponed.length > 0 ? postponeJobs(this.#pool, postponed.map(jobOf)) : new Set<string>(),
    ])
    return [
      ...completed.map(
        (settlement): Settled => ({ settlement, as: done.has(settlement.job.id) ? 'completed' : 'lost' }),
      ),
      ...failed.map((settlement): Settled => {
        const failure = failures.get(settlement.job.id)
        return { settlement, as: failure ? (failure.dead ? 'dead' : 'retried') : 'lost' }
      }),
      ...postponed.map(
        (settlement): Settled => ({ settlement, as: back.has(settlement.job.id) ? 'postponed' : 'lost' }),
      ),
    ]
  }
}

/** The statement itself is at fault (SQLSTATE classes 22 and 23), so repeating it cannot help. */
function isDataError(error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' && /^2[23]...$/.test(code)
}

function jobOf<Job>(settlement: { job: Job }): Job {
  return settlement.job
}
