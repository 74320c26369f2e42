import pg from 'pg'
import { KeptTypes, type Types } from './prismaTypes.ts'
import type { TenantPool } from './tenantPool.ts'

/** A statement as PrismaPg sends it: named, rows as arrays, with a table of parsers made anew for each. */
type PrismaStatement = Omit<pg.QueryConfig, 'types'> & { types?: Types }
/** What PrismaPg asks of a connection that it runs a transaction on. */
type PrismaConnection = {
  query(statement: PrismaStatement): Promise<pg.QueryResult>
  release(error?: Error): void
  on(event: 'error', listener: (error: Error) => void): unknown
  removeListener(event: 'error', listener: (error: Error) => void): unknown
}

/**
 * What PrismaPg is given: a pg.Pool by type, the tenant pool in deed. It opens no connection of its own.
 */
export class PrismaPool extends pg.Pool {
  readonly #pool: TenantPool
  readonly #types = new KeptTypes()

  constructor(pool: TenantPool) {
    super()
    this.#pool = pool
  }

  // @ts-expect-error pg.Pool also has other forms, which PrismaPg does not use
  override query(statement: PrismaStatement): Promise<pg.QueryResult> {
    return this.#pool.query(this.#withKeptTypes(statement))
  }

  // @ts-expect-error as above
  override async connect(): Promise<PrismaConnection> {
    const connection = await this.#pool.connect()
    return {
      query: (statement) => connection.query(this.#withKeptTypes(statement)),
      release: (error) => connection.release(error),
      on: (event, listener) => connection.on(event, listener),
      removeListener: (event, listener) => connection.removeListener(event, listener),
    }
  }

  #withKeptTypes(statement: PrismaStatement): PrismaStatement {
    if (statement.types) statement.types = this.#types.from(statement.types)
    return statement
  }
}
