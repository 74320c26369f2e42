import pg from 'pg'
import { AppError } from '../errors.ts'
import { ReadTurns } from './readTurns.ts'
import { isConnectionLost, isRolledBack, isStatementStale, withRetries } from './retries.ts'
import { BoundedClient, nameStatement } from './statementNames.ts'
import { isConnectionUnusable, TenantConnection, transactionStatus } from './tenantConnection.ts'
import { prepareTenantSetting, TenantQuery } from './tenantQuery.ts'
import { currentTenant } from './tenantScope.ts'
import { readStatement } from './tenantStatement.ts'

/** Anything that runs SQL for the tenant in scope: the pool, or a transaction of it. */
export type Queryable = {
  query<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    text: string | pg.QueryConfig,
    values?: readonly unknown[],
  ): Promise<pg.QueryResult<Row>>
}

export type TransactionOptions = {
  /** How often to run `work` again after a deadlock, a serialization failure or a connection lost before COMMIT. */
  retries?: number
  isolation?: 'read committed' | 'repeatable read' | 'serializable'
  readOnly?: boolean
}

export type TenantPoolOptions = pg.PoolConfig & {
  /** Sends every statement unnamed, for a pooler that does not keep prepared statements. */
  unnamedStatements?: boolean
}

const STATEMENT_RETRIES = 2
const READ = /^\s*select\b/i
const LOCK = /\bfor\s+(no\s+key\s+update|update|key\s+share|share)\b|\bpg_(try_)?advisory/i
const TRANSACTION_CONTROL = /^\s*(begin|start|commit|end|rollback|abort|savepoint|release|prepare\s+transaction)\b/i

/**
 * A pg.Pool whose every statement runs as the tenant in scope (`runAsTenant`), in one round trip; PrismaPg takes it as
 * it is. The callback forms, cursors and COPY of node-postgres are refused: they could outlive their tenant's turn on
 * the connection. Several statements that belong together go into `transaction`.
 */
export class TenantPool extends pg.Pool {
  readonly #named: boolean
  readonly #turns: ReadTurns

  constructor({ unnamedStatements = false, ...config }: TenantPoolOptions) {
    // In pipeline mode pg sends a statement without waiting for the answer to the one before it.
    super({
      Client: BoundedClient,
      pipeline: true,
      ...config,
      ...(unnamedStatements ? {} : { onConnect: prepareTenantSetting }),
    })
    this.#named = !unnamedStatements
    this.#turns = new ReadTurns((lent) => super.connect(lent), { named: this.#named })
    // A connection that breaks fails its statement; without a listener it would also end the process.
    this.on('connect', (client) => client.on('error', () => {}))
    this.on('error', () => {})
  }

  /**
   * Runs one statement as the tenant in scope. A deadlock or serialization failure has undone it, so it runs again;
   * after a lost connection only a SELECT does: call a function that has effects inside `transaction`.
   */
  // @ts-expect-error pg.Pool also has callback forms, which are refused
  override async query<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    statement: string | pg.QueryConfig,
    values?: readonly unknown[],
    ...callback: unknown[]
  ): Promise<pg.QueryResult<Row>> {
    const tenantId = currentTenant()
    const config = readStatement(statement, values, callback)
    if (TRANSACTION_CONTROL.test(config.text)) throw new AppError('INTERNAL', 'use transaction() for transactions')
    return retryStatement(config.text, () => this.#queryOnce<Row>(config, tenantId))
  }

  /**
   * Runs one quick SELECT that locks nothing as the tenant in scope, together with others that are asked for at the same
   * moment (see ReadTurns).
   */
  async read<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    statement: string | pg.QueryConfig,
    values?: readonly unknown[],
  ): Promise<pg.QueryResult<Row>> {
    const tenantId = currentTenant()
    const config = readStatement(statement, values, [])
    // By key there is but one good plan, so that it may as well be kept.
    const named = { ...config, name: config.name ?? nameStatement({ sql: config.text }) }
    if (!READ.test(config.text) || LOCK.test(config.text)) {
      throw new AppError('INTERNAL', 'only what reads without a lock may be read together with others')
    }
    return retryStatement(config.text, () => this.#turns.read(named, tenantId) as Promise<pg.QueryResult<Row>>)
  }

  /** A connection of the tenant in scope until released, as PrismaPg wants it; services use `transaction`. */
  override async connect(...callback: unknown[]): Promise<pg.PoolClient> {
    if (callback.length > 0) throw new AppError('INTERNAL', 'the tenant pool has no callback API')
    return (await this.#lend()) as unknown as pg.PoolClient
  }

  /**
   * Runs `work` in one transaction of the tenant in scope: committed when it returns, rolled back when it throws.
   * With `retries`, `work` may run several times; a connection lost during COMMIT is never retried: its outcome is unknown.
   */
  transaction<Result>(work: (tx: Queryable) => Promise<Result>, options: TransactionOptions = {}): Promise<Result> {
    let committing = false
    const runOnce = async () => {
      committing = false
      const connection = await this.#lend()
      try {
        await connection.query(beginText(options))
        const result = await work(connection)
        committing = true
        await connection.query('COMMIT')
        return result
      } catch (error) {
        await connection.query('ROLLBACK').catch(() => {})
        throw error
      } finally {
        connection.release()
      }
    }
    return withRetries(runOnce, {
      retries: options.retries ?? 0,
      mayRetry: (error) => isRolledBack(error) || isStatementStale(error) || (isConnectionLost(error) && !committing),
    })
  }

  async #lend(): Promise<TenantConnection> {
    const tenantId = currentTenant()
    return new TenantConnection(await super.connect(), { tenantId, named: this.#named })
  }

  #queryOnce<Row extends pg.QueryResultRow>(config: pg.QueryConfig, tenantId: string): Promise<pg.QueryResult<Row>> {
    return new Promise((resolve, reject) => {
      super.connect((connectError, client) => {
        if (connectError || !client) return reject(connectError)
        const query = new TenantQuery(config, { tenantId, named: this.#named }, (error, result) => {
          client.release(error ? isConnectionUnusable(error) : transactionStatus(client) !== 'I')
          if (error) reject(error)
          else resolve(result as pg.QueryResult<Row>)
        })
        client.query(query as unknown as pg.Submittable)
      })
    })
  }
}

/** A statement that has been undone runs again, and a SELECT after a lost connection too. */
async function retryStatement<Result>(text: string, run: () => Promise<Result>): Promise<Result> {
  try {
    return await run()
  } catch (error) {
    const mayRetry = (failure: unknown) =>
      isRolledBack(failure) || isStatementStale(failure) || (isConnectionLost(failure) && READ.test(text))
    if (!mayRetry(error)) throw error
    return withRetries(run, { retries: STATEMENT_RETRIES - 1, mayRetry })
  }
}

function beginText({ isolation, readOnly }: TransactionOptions): string {
  const level = isolation ? ` ISOLATION LEVEL ${isolation.toUpperCase()}` : ''
  return `BEGIN${level}${readOnly ? ' READ ONLY' : ''}`
}
