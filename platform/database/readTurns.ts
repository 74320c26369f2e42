import type pg from 'pg'
import type { Wire } from './statementWire.ts'
import { isConnectionUnusable, transactionStatus } from './tenantConnection.ts'
import { TenantQuery } from './tenantQuery.ts'

/** So many reads go over one connection together: a slow one holds up no more than the rest of them. */
const READS_TOGETHER = 4

/** How pg.Pool lends a connection. */
type Connect = (lent: (error: Error | undefined, client: pg.PoolClient | undefined) => void) => void

type Waiting = {
  config: pg.QueryConfig
  tenantId: string
  resolve: (result: pg.QueryResult) => void
  reject: (error: unknown) => void
}

/**
 * Collects the reads that are asked for in one turn of the event loop, whoever asks, and sends several of them in one
 * write over one connection. Waking up PostgreSQL and being woken by it costs more than a read by key does. Each stays a
 * transaction of its own, of its own tenant; what one fails of is nothing to the others.
 *
 * For what locks nothing only: a statement that waits for a lock would hold up those behind it, one of which might be what
 * the lock's holder is waiting for.
 */
export class ReadTurns {
  readonly #connect: Connect
  readonly #named: boolean
  #waiting: Waiting[] = []

  constructor(connect: Connect, { named }: { named: boolean }) {
    this.#connect = connect
    this.#named = named
  }

  read(config: pg.QueryConfig, tenantId: string): Promise<pg.QueryResult> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ config, tenantId, resolve, reject })
      if (this.#waiting.length === 1) setImmediate(() => this.#sendWaiting())
    })
  }

  #sendWaiting(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (let i = 0; i < waiting.length; i += READS_TOGETHER) this.#send(waiting.slice(i, i + READS_TOGETHER))
  }

  #send(reads: readonly Waiting[]): void {
    this.#connect((connectError, client) => {
      if (!client) {
        for (const { reject } of reads) reject(connectError)
        return
      }
      let open = reads.length
      let isBroken = false
      const close = (error: Error | null) => {
        isBroken ||= error ? isConnectionUnusable(error) : transactionStatus(client) !== 'I'
        open -= 1
        if (open === 0) client.release(isBroken)
      }
      const { stream } = (client as unknown as { connection: Wire }).connection
      stream.cork()
      for (const read of reads) client.query(this.#queryOf(read, close) as unknown as pg.Submittable)
      stream.uncork()
    })
  }

  #queryOf({ config, tenantId, resolve, reject }: Waiting, close: (error: Error | null) => void): TenantQuery {
    let isOver = false
    return new TenantQuery(config, { tenantId, named: this.#named }, (error, result) => {
      // A value that cannot be sent fails a statement before the server ends it.
      if (isOver) return
      isOver = true
      close(error)
      if (error) reject(error)
      else resolve(result)
    })
  }
}
