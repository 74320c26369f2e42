import type pg from 'pg'
import { reapLeases } from './lease.ts'

/**
 * Decides when expired leases may be taken away. After a pause (the database was away, this process was stopped, it has
 * just started) every lease may look expired though its worker lives and only could not renew. So a reaper that was
 * not at it a moment ago first gives the living the time of a few heartbeats.
 */
export class Reaper {
  readonly #pool: pg.Pool
  readonly #graceMs: number
  #lastLookAt = Number.NEGATIVE_INFINITY
  #patientUntil = Number.NEGATIVE_INFINITY

  /** @param heartbeatMs how often workers renew their leases */
  constructor(pool: pg.Pool, heartbeatMs: number) {
    this.#pool = pool
    this.#graceMs = heartbeatMs * 2
  }

  /**
   * Reaps unless the living are owed time. Call it at least once per heartbeat; answers the queues that have work again.
   * @param now the wall clock: it goes on while a process or a whole machine is stopped; a jump of it only costs patience
   */
  async look(now: number = Date.now()): Promise<string[]> {
    if (Math.abs(now - this.#lastLookAt) > this.#graceMs) this.#patientUntil = now + this.#graceMs
    this.#lastLookAt = now
    try {
      if (now >= this.#patientUntil) return (await reapLeases(this.#pool)).readyQueues
      // Time in which the database cannot be reached gives nobody a chance to renew: it does not count as patience.
      await this.#pool.query('SELECT 1')
      return []
    } catch (error) {
      // The database is away: when it is back, it is back for everyone at once.
      this.#lastLookAt = Number.NEGATIVE_INFINITY
      throw error
    }
  }
}
