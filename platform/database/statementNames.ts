import { createHash } from 'node:crypto'
import pg from 'pg'
import { forgetStatement, type Wire } from './statementWire.ts'

const TEXTS_REMEMBERED = 2_000
const nameOf = new Map<string, string>()

/**
 * The prepared-statement name of an SQL text, for PrismaPg's `statementNameGenerator`: the same text always has the same
 * name, so a name never stands for two texts. How many live on a connection is bounded where they are prepared.
 */
export function nameStatement({ sql }: { sql: string }): string {
  const known = nameOf.get(sql)
  if (known !== undefined) return known
  // Lists of ids and partial updates make new texts without end: forget the oldest rather than grow.
  if (nameOf.size >= TEXTS_REMEMBERED) nameOf.delete(nameOf.keys().next().value as string)
  const name = `q${createHash('sha256').update(sql).digest('base64url').slice(0, 22)}`
  nameOf.set(sql, name)
  return name
}

/** The statement that goes before every other of a tenant: prepared once, never forgotten, however many others come. */
export const SET_TENANT_NAME = 'set_tenant'

/** Prepared statements kept on one connection. Each costs the server some tens of kilobytes. */
export const STATEMENTS_PER_CONNECTION = 200

/**
 * A pg.Client that closes its least recently used prepared statement when there are too many, and sends one statement
 * after the other when asked for several at once, as Prisma does in transactions: pg itself will refuse that.
 */
export class BoundedClient extends pg.Client {
  readonly #names = new Set<string>()
  #lastStatement: Promise<unknown> | undefined

  // biome-ignore lint/suspicious/noExplicitAny: passes on whichever of pg's overloads was called
  override query(...args: any[]): any {
    const name = args[0]?.name
    if (name && name !== SET_TENANT_NAME) this.#makeRoomFor(name)
    const answersByCallback = args[0]?.submit || typeof args.at(-1) === 'function'
    // biome-ignore lint/suspicious/noExplicitAny: as above
    if (answersByCallback) return (super.query as any)(...args)
    // biome-ignore lint/suspicious/noExplicitAny: as above
    return this.#afterOthers(() => (super.query as any)(...args))
  }

  #afterOthers(send: () => Promise<unknown>): Promise<unknown> {
    const sent = this.#lastStatement ? this.#lastStatement.then(send, send) : send()
    this.#lastStatement = sent
    const forget = () => {
      if (this.#lastStatement === sent) this.#lastStatement = undefined
    }
    sent.then(forget, forget)
    return sent
  }

  #makeRoomFor(name: string): void {
    this.#names.delete(name)
    this.#names.add(name)
    if (this.#names.size <= STATEMENTS_PER_CONNECTION) return
    const oldest = this.#names.values().next().value as string
    this.#names.delete(oldest)
    // Sent after the messages of earlier queries.
    forgetStatement((this as unknown as { connection: Wire }).connection, oldest)
  }
}
