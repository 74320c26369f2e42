import type pg from 'pg'
import { listen } from '#platform/database/listen.ts'

const CHANNEL = 'queue_wake'
const NOTIFY = `SELECT pg_notify('${CHANNEL}', name) FROM unnest($1::text[]) AS name`

/** A queue announced a moment ago is announced again at the end of that moment: one NOTIFY for many enqueues. */
const MOMENT_MS = 5

/**
 * Wake-ups by LISTEN and NOTIFY. NOTIFY is rare on purpose: all of PostgreSQL's notifying commits take turns.
 */
export class PostgresSignals {
  readonly #pool: pg.Pool
  readonly #ends = new Set<() => void>()
  readonly #waiting = new Set<string>()
  #moment: NodeJS.Timeout | undefined

  constructor(pool: pg.Pool) {
    this.#pool = pool
  }

  announce(queueNames: readonly string[]): void {
    for (const name of queueNames) this.#waiting.add(name)
    if (this.takeTurn()) this.#send()
  }

  /** Whether it is time for another NOTIFY; whoever gets a yes sends it. */
  takeTurn(): boolean {
    if (this.#moment) return false
    this.#moment = setTimeout(() => {
      this.#moment = undefined
      if (this.#waiting.size > 0) this.announce([])
    }, MOMENT_MS)
    return true
  }

  listen(queueNames: readonly string[], onWake: (queueName: string) => void): () => void {
    const names = new Set(queueNames)
    const end = listen(this.#pool, {
      channel: CHANNEL,
      onNotification: (name) => {
        if (names.has(name)) onWake(name)
      },
      onListening: () => names.forEach(onWake),
    })
    this.#ends.add(end)
    return () => {
      this.#ends.delete(end)
      end()
    }
  }

  close(): void {
    clearTimeout(this.#moment)
    for (const end of this.#ends) end()
  }

  #send(): void {
    const names = [...this.#waiting]
    this.#waiting.clear()
    if (names.length > 0) this.#pool.query({ name: 'wake', text: NOTIFY, values: [names] }).catch(() => {})
  }
}
