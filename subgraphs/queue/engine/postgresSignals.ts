import pg from 'pg'

const CHANNEL = 'queue_wake'
const NOTIFY = `SELECT pg_notify('${CHANNEL}', name) FROM unnest($1::text[]) AS name`

/** A queue announced a moment ago is announced again at the end of that moment: one NOTIFY for many enqueues. */
const MOMENT_MS = 5
const SHORTEST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000

/**
 * Wake-ups by LISTEN and NOTIFY: a connection of its own listens, any of the pool's notifies. Never inside the transaction
 * that enqueues: all of PostgreSQL's notifying commits take turns.
 */
export class PostgresSignals {
  readonly #pool: pg.Pool
  readonly #listeners = new Set<Listener>()
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
    const listener = new Listener(this.#pool, new Set(queueNames), onWake)
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
      listener.close()
    }
  }

  close(): void {
    clearTimeout(this.#moment)
    for (const listener of this.#listeners) listener.close()
  }

  #send(): void {
    const names = [...this.#waiting]
    this.#waiting.clear()
    if (names.length > 0) this.#pool.query({ name: 'wake', text: NOTIFY, values: [names] }).catch(() => {})
  }
}

/** Listens until closed, again and again after the connection was lost. */
class Listener {
  readonly #pool: pg.Pool
  readonly #names: ReadonlySet<string>
  readonly #onWake: (queueName: string) => void
  #client: pg.Client | undefined
  #retry: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(pool: pg.Pool, names: ReadonlySet<string>, onWake: (queueName: string) => void) {
    this.#pool = pool
    this.#names = names
    this.#onWake = onWake
    void this.#connect(SHORTEST_PAUSE_MS)
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#retry)
    this.#client?.end().catch(() => {})
  }

  async #connect(pauseMs: number): Promise<void> {
    const client = new pg.Client(this.#pool.options)
    let isLost = false
    const lose = () => {
      if (isLost || this.#isClosed) return
      isLost = true
      client.end().catch(() => {})
      this.#retry = setTimeout(() => void this.#connect(Math.min(LONGEST_PAUSE_MS, pauseMs * 2)), pauseMs)
    }
    client.on('error', lose)
    client.on('end', lose)
    client.on('notification', ({ payload }) => {
      if (payload && this.#names.has(payload)) this.#onWake(payload)
    })
    this.#client = client
    try {
      await client.connect()
      await client.query(`LISTEN ${CHANNEL}`)
      pauseMs = SHORTEST_PAUSE_MS
      // Whatever was announced while nobody listened.
      for (const name of this.#names) this.#onWake(name)
    } catch {
      lose()
    }
    if (this.#isClosed) client.end().catch(() => {})
  }
}
