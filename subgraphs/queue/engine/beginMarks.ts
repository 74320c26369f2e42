import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '#platform/log.ts'
import type { ClaimedJob } from './job.ts'
import type { Sql } from './sql.ts'

// Whoever waits for several leases locks them in the order of their ids, as everyone does.
const WRITE = `
  WITH mark AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS m("leaseId" uuid, places int[])
  ), locked AS (
    SELECT id FROM worker_leases WHERE id IN (SELECT "leaseId" FROM mark) ORDER BY id FOR UPDATE
  )
  UPDATE worker_leases l SET unbegun = m.places FROM mark m JOIN locked ON locked.id = m."leaseId" WHERE l.id = m."leaseId"`

export type BeginMarksOptions = {
  sql: Sql
  log: Log
  /** Jobs that could not begin may now. */
  onFreed: () => void
}

const PAUSE_MS = 250

/**
 * What a worker's leases say has not begun: should the worker die, those jobs cost no attempt. What is not said has begun,
 * as far as anyone can tell. So a mark is there before it counts: a job that has one does not begin until it is off the
 * lease. Where jobs are worked off quickly nothing waits long enough to be marked, and nothing is written.
 */
export class BeginMarks {
  readonly #options: BeginMarksOptions
  /** Waiting when last looked. */
  #waiting: ReadonlySet<ClaimedJob> = new Set()
  readonly #marked = new Map<string, Set<ClaimedJob>>()
  /** Those whose mark is being taken off. */
  readonly #leaving = new Set<ClaimedJob>()
  readonly #changed = new Set<string>()
  #isWriting = false
  #isClosed = false

  constructor(options: BeginMarksOptions) {
    this.#options = options
  }

  /** Marks what waits now and waited at the last look. Call it every so often. */
  look(jobs: readonly ClaimedJob[]): void {
    const now = new Set(jobs)
    // What waits no more and did not begin was given back, cancelled or lost: there is nothing left to say of it.
    for (const [leaseId, marked] of this.#marked) {
      for (const job of marked) if (!now.has(job)) marked.delete(job)
      if (marked.size === 0) this.#marked.delete(leaseId)
    }
    for (const job of jobs) {
      if (!this.#waiting.has(job) || this.#leaving.has(job) || this.#marked.get(job.leaseId)?.has(job)) continue
      const marked = this.#marked.get(job.leaseId) ?? new Set()
      this.#marked.set(job.leaseId, marked.add(job))
      this.#changed.add(job.leaseId)
    }
    this.#waiting = now
    this.#write()
  }

  /** Whether these may begin now. If not they may soon: their marks are being taken off, and `onFreed` tells when. */
  mayBegin(jobs: readonly ClaimedJob[]): boolean {
    let isFree = true
    for (const job of jobs) {
      if (this.#marked.get(job.leaseId)?.delete(job)) {
        this.#leaving.add(job)
        this.#changed.add(job.leaseId)
      }
      isFree &&= !this.#leaving.has(job)
    }
    if (!isFree) this.#write()
    return isFree
  }

  /** Writes nothing more. */
  close(): void {
    this.#isClosed = true
  }

  #write(): void {
    if (this.#changed.size === 0 || this.#isWriting || this.#isClosed) return
    this.#isWriting = true
    void this.#writeAll().finally(() => {
      this.#isWriting = false
    })
  }

  async #writeAll(): Promise<void> {
    const { sql, log, onFreed } = this.#options
    let isFailing = false
    while (this.#changed.size > 0 && !this.#isClosed) {
      const leaseIds = [...this.#changed]
      this.#changed.clear()
      const leaving = [...this.#leaving].filter(({ leaseId }) => leaseIds.includes(leaseId))
      const placesOf = (leaseId: string) => [...(this.#marked.get(leaseId) ?? [])].map(({ position }) => position)
      const marks = leaseIds.map((leaseId) => ({ leaseId, places: placesOf(leaseId) }))
      try {
        await sql.query(WRITE, [JSON.stringify(marks)])
        isFailing = false
        for (const job of leaving) this.#leaving.delete(job)
        if (leaving.length > 0) onFreed()
      } catch (error) {
        if (!isFailing) log.warn({ err: error }, 'what has begun cannot be written; it waits')
        isFailing = true
        for (const leaseId of leaseIds) this.#changed.add(leaseId)
        await sleep(PAUSE_MS)
      }
    }
  }
}
