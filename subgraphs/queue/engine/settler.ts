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
import { OutcomeLine } from './outcomeLine.ts'

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

type Kind = Settlement['kind']
/** Writes outcomes of one kind and says how each job was settled. */
type Write<Job> = (jobs: Job[]) => Promise<(jobId: string) => SettledAs>

/** A stop waits so long for a database that does not answer. */
const LAST_TRIES_MS = 500

/** Writes outcomes in batches, each kind by itself: what keeps one kind from being written holds up no other. */
export class Settler {
  readonly #options: SettlerOptions
  readonly #lines: Readonly<Record<Kind, OutcomeLine<Settlement>>>
  #isGivingUp = false

  constructor(options: SettlerOptions) {
    this.#options = options
    const { pool, isLast } = options
    const among = (ids: ReadonlySet<string>, as: SettledAs) => (id: string) => (ids.has(id) ? as : 'lost')
    const complete: Write<CompletedJob> = async (jobs) => among(await completeJobs(pool, jobs, isLast), 'completed')
    const postpone: Write<PostponedJob> = async (jobs) => among(await postponeJobs(pool, jobs), 'postponed')
    const cancel: Write<CancelledJob> = async (jobs) => among(await cancelJobs(pool, jobs), 'cancelled')
    const fail: Write<FailedJob> = async (jobs) => {
      const failures = await failJobs(pool, jobs)
      const dead = (id: string) => (failures.get(id)?.dead ? 'dead' : 'retried')
      return (id) => (failures.has(id) ? dead(id) : 'lost')
    }
    this.#lines = {
      completed: this.#makeLine(complete),
      postponed: this.#makeLine(postpone),
      cancelled: this.#makeLine(cancel),
      failed: this.#makeLine(fail),
    }
  }

  add(settlements: readonly Settlement[]): void {
    const byKind = groupBy(settlements, ({ kind }) => kind)
    for (const [kind, ofKind] of byKind) this.#lines[kind].add(ofKind)
  }

  /** Waits until everything is written. With `giveUp`, what cannot be written soon is left to the leases' end. */
  async finish({ giveUp }: { giveUp: boolean }): Promise<void> {
    const lines = Object.values(this.#lines)
    this.#isGivingUp = giveUp
    if (giveUp) for (const line of lines) line.giveUpAt(performance.now() + LAST_TRIES_MS)
    while (lines.some(({ isBusy }) => isBusy)) await Promise.all(lines.map((line) => line.idle()))
  }

  #makeLine<Job>(write: Write<Job>): OutcomeLine<Settlement> {
    const { log, onSettled } = this.#options
    return new OutcomeLine({
      log,
      async write(batch) {
        const settledAs = await write(batch.map(({ job }) => job as Job))
        await onSettled(batch.map((settlement) => ({ settlement, as: settledAs(settlement.job.id) })))
      },
      onSpoiled: (settlement) => {
        // There is no end to what spoils even that; a stop has one.
        if (settlement.kind !== 'failed' || !this.#isGivingUp) this.add([this.#spell(settlement)])
      },
    })
  }

  /** An outcome the database cannot hold becomes a failed attempt that says so. */
  #spell({ job: { id, leaseId, position } }: Settlement): Settlement {
    this.#options.log.error({ job: id }, 'an outcome cannot be written')
    const facts = describeFailure(new Error('the outcome of the attempt cannot be stored'))
    return { kind: 'failed', job: { id, leaseId, position, durationMs: 0, waitMs: 0, ...facts, permanent: false } }
  }
}
