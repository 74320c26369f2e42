import type pg from 'pg'
import { AppError } from '../errors.ts'
import { isConnectionLost, isStatementStale } from './retries.ts'
import { beginAsTenant, TenantQuery } from './tenantQuery.ts'
import { findCurrentTenant } from './tenantScope.ts'
import { readStatement } from './tenantStatement.ts'

const BEGIN = /^\s*(begin|start\s+transaction)\b/i
const END = /^\s*(commit|rollback|end|abort)\b/i

/**
 * A pooled connection lent to one tenant until released. A transaction begins with its tenant set; a statement outside
 * of one carries its own. It looks like a pg.PoolClient to PrismaPg; nothing can be sent through it once released.
 */
export class TenantConnection {
  readonly #client: pg.PoolClient
  readonly #tenantId: string
  readonly #named: boolean
  #lastStatement: Promise<unknown> = Promise.resolve()
  #running = 0
  #broken = false
  #released = false

  constructor(client: pg.PoolClient, { tenantId, named }: { tenantId: string; named: boolean }) {
    this.#client = client
    this.#tenantId = tenantId
    this.#named = named
  }

  /** Runs one statement after those already asked for on this connection. */
  async query<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    statement: string | pg.QueryConfig,
    values?: readonly unknown[],
    ...callback: unknown[]
  ): Promise<pg.QueryResult<Row>> {
    if (this.#released) throw new AppError('INTERNAL', 'connection already released')
    const config = readStatement(statement, values, callback)
    this.#requireOwnTenant(config.text)
    this.#running++
    const send = BEGIN.test(config.text) ? () => this.#begin(config.text) : () => this.#send(config)
    const result = this.#lastStatement.then(send, send)
    this.#lastStatement = result
    try {
      return (await result) as pg.QueryResult<Row>
    } catch (error) {
      this.#broken ||= isConnectionUnusable(error)
      throw error
    } finally {
      this.#running--
    }
  }

  /** Gives the connection back. One with an open transaction or a running statement is closed instead of reused. */
  release(error?: Error | boolean): void {
    if (this.#released) throw new AppError('INTERNAL', 'connection already released')
    this.#released = true
    const reusable = !error && !this.#broken && this.#running === 0 && transactionStatus(this.#client) === 'I'
    this.#client.release(!reusable)
  }

  on(event: 'error', listener: (error: Error) => void): this {
    this.#client.on(event, listener)
    return this
  }

  removeListener(event: 'error', listener: (error: Error) => void): this {
    this.#client.removeListener(event, listener)
    return this
  }

  async #begin(text: string): Promise<pg.QueryResult> {
    // Two statements in one simple message answer with two results; the caller asked for the first.
    const results = await this.#client.query(beginAsTenant(text, this.#tenantId))
    return (results as unknown as pg.QueryResult[])[0] as pg.QueryResult
  }

  #send(config: pg.QueryConfig): Promise<pg.QueryResult> {
    const inTransaction = () => transactionStatus(this.#client) !== 'I'
    const options = { tenantId: this.#tenantId, named: this.#named, inTransaction }
    return new Promise((resolve, reject) => {
      const query = new TenantQuery(config, options, (error, result) => (error ? reject(error) : resolve(result)))
      this.#client.query(query as unknown as pg.Submittable)
    })
  }

  #requireOwnTenant(text: string): void {
    const tenantId = findCurrentTenant()
    if (tenantId === null || tenantId === this.#tenantId || END.test(text)) return
    throw new AppError('INTERNAL', 'a transaction belongs to the tenant that began it')
  }
}

/** Errors after which the connection itself is not to be trusted; an ordinary SQL error leaves it clean. */
export function isConnectionUnusable(error: unknown): boolean {
  if (isConnectionLost(error) || isStatementStale(error)) return true
  return !(typeof error === 'object' && error !== null && 'severity' in error)
}

/** 'I' idle, 'T' in a transaction, 'E' in a failed one, as of the last answer. */
export function transactionStatus(client: pg.ClientBase): string | null {
  return (client as unknown as { getTransactionStatus(): string | null }).getTransactionStatus()
}
