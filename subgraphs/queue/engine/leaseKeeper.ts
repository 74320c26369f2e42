import type pg from 'pg'
import type { Log } from '#platform/log.ts'
import type { Claim } from './claim.ts'
import { endLeases, extendLeases } from './lease.ts'
import { reportWorker, type WorkerCounts, type WorkerIdentity } from './registry.ts'

type HeldLease = {
  validUntil: number
  unsettled: number
  /** Its last jobs are being acknowledged, which ends it: a heartbeat that no longer finds it has lost nothing. */
  isEnding: boolean
}

export type LeaseKeeperOptions = {
  pool: pg.Pool
  worker: WorkerIdentity
  leaseMs: number
  counts: () => WorkerCounts
  /** Called after each heartbeat that reached the database. */
  onBeat: () => void
  /** Called when leases turned out to be lost. */
  onLost: () => void
  log: Log
}

/** Share of a lease after which it is renewed, and after which nothing new is started under it. */
const RENEW_AFTER = 1 / 3
const TRUST_UNTIL = 0.9

/** Keeps a worker's leases alive and knows which of them can still be trusted. */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions
  readonly #leases = new Map<string, HeldLease>()
  #timer: NodeJS.Timeout | undefined
  #beating: Promise<void> = Promise.resolve()
  #isAway = false

  constructor(options: LeaseKeeperOptions) {
    this.#options = options
  }

  /** How often leases are renewed, in milliseconds. */
  get heartbeatMs(): number {
    return this.#options.leaseMs * RENEW_AFTER
  }

  start(): void {
    const beat = () => {
      this.#beating = this.#beat().finally(() => {
        if (this.#timer) this.#timer = setTimeout(beat, this.heartbeatMs)
      })
    }
    this.#timer = setTimeout(beat, this.heartbeatMs)
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    await this.#beating
  }

  /** @param claimedAt performance.now() before the claim was sent */
  add({ leaseId, jobs }: Claim, claimedAt: number): void {
    this.#leases.set(leaseId, { validUntil: this.#trustUntil(claimedAt), unsettled: jobs.length, isEnding: false })
  }

  /** Whether a job may be started under this lease now. False for a while after a missed heartbeat, for ever once lost. */
  isTrusted(leaseId: string): boolean {
    const lease = this.#leases.get(leaseId)
    return lease !== undefined && performance.now() < lease.validUntil
  }

  isLost(leaseId: string): boolean {
    return !this.#leases.has(leaseId)
  }

  /** Whether so many jobs are all that a lease still holds; then their acknowledgement may end it. */
  isLast(leaseId: string, jobs: number): boolean {
    const lease = this.#leases.get(leaseId)
    if (!lease || lease.unsettled > jobs) return false
    lease.isEnding = true
    return true
  }

  /** Counts jobs of leases as settled and ends those that are through. A lease left behind would only expire. */
  async settle(leaseIds: readonly string[]): Promise<void> {
    const ended: string[] = []
    for (const leaseId of leaseIds) {
      const lease = this.#leases.get(leaseId)
      if (!lease) continue
      lease.unsettled -= 1
      if (lease.unsettled > 0) continue
      this.#leases.delete(leaseId)
      if (!lease.isEnding) ended.push(leaseId)
    }
    await endLeases(this.#options.pool, ended).catch(() => undefined)
  }

  async #beat(): Promise<void> {
    const { pool, worker, leaseMs, counts, onBeat, onLost, log } = this.#options
    const sentAt = performance.now()
    const leaseIds = [...this.#leases.keys()]
    try {
      await reportWorker(pool, worker, counts())
      const alive = await extendLeases(pool, leaseIds, leaseMs)
      let lost = 0
      for (const leaseId of leaseIds) {
        const lease = this.#leases.get(leaseId)
        if (!lease || lease.isEnding) continue
        if (alive.has(leaseId)) {
          lease.validUntil = this.#trustUntil(sentAt)
          continue
        }
        this.#leases.delete(leaseId)
        log.warn({ lease: leaseId, jobs: lease.unsettled }, 'lease lost: its jobs were given to others')
        lost += 1
      }
      if (lost > 0) onLost()
      if (this.#isAway) log.info('heartbeats reach the database again')
      this.#isAway = false
      onBeat()
    } catch (error) {
      if (!this.#isAway) log.warn({ err: error }, 'heartbeat failed; nothing new is started until one succeeds')
      this.#isAway = true
    }
  }

  #trustUntil(sentAt: number): number {
    return sentAt + this.#options.leaseMs * TRUST_UNTIL
  }
}
