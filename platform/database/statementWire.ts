import type pg from 'pg'
import { serialize } from 'pg-protocol/dist/serializer.js'

/** The parts of pg's wire connection used here; @types/pg leaves them out. */
export type Wire = {
  stream: { writable: boolean; write(bytes: Buffer): boolean; cork(): void; uncork(): void }
  parsedStatements: Record<string, string>
  submittedNamedStatements: Record<string, string>
  close(message: { type: 'S'; name: string }): void
}

/** What a prepared statement's rows look like, as pg's Result keeps it. */
export type RowShape = {
  fields: pg.FieldDef[]
  parsers: unknown
  emptyRow: unknown
  /** The parsers above came from here; undefined for pg's own. */
  types: unknown
  rowMode: string | undefined
}

const shapesOf = new WeakMap<Wire, Map<string, RowShape>>()

/**
 * The row shapes of a connection's prepared statements, by name. A prepared statement never changes its columns (after a
 * change of the table the server refuses it instead), so describing it once is enough.
 */
export function rowShapes(wire: Wire): Map<string, RowShape> {
  const known = shapesOf.get(wire)
  if (known) return known
  const shapes = new Map<string, RowShape>()
  shapesOf.set(wire, shapes)
  return shapes
}

/** Closes a prepared statement; one still queued under this name will be prepared again. */
export function forgetStatement(wire: Wire, name: string): void {
  delete wire.parsedStatements[name]
  shapesOf.get(wire)?.delete(name)
  wire.close({ type: 'S', name })
}

const SYNC = serialize.sync()
const FLUSH = serialize.flush()

/**
 * Stands in for pg's connection while a statement writes its messages, and sends them as one: a write of five small
 * buffers costs more than all else a client does for a statement.
 */
export class MessageBatch {
  readonly #wire: Wire
  readonly #messages: Buffer[] = []
  readonly #describes: boolean

  constructor(wire: Wire, { describes }: { describes: boolean }) {
    this.#wire = wire
    this.#describes = describes
  }

  get parsedStatements(): Record<string, string> {
    return this.#wire.parsedStatements
  }

  get submittedNamedStatements(): Record<string, string> {
    return this.#wire.submittedNamedStatements
  }

  add(message: Buffer): void {
    this.#messages.push(message)
  }

  parse(message: Parameters<typeof serialize.parse>[0]): void {
    this.add(serialize.parse(message))
  }

  bind(message: Parameters<typeof serialize.bind>[0]): void {
    this.add(serialize.bind(message))
  }

  describe(message: Parameters<typeof serialize.describe>[0]): void {
    if (this.#describes) this.add(serialize.describe(message))
  }

  execute(message: Parameters<typeof serialize.execute>[0]): void {
    this.add(serialize.execute(message))
  }

  close(message: Parameters<typeof serialize.close>[0]): void {
    this.add(serialize.close(message))
  }

  sync(): void {
    this.add(SYNC)
  }

  flush(): void {
    this.add(FLUSH)
  }

  send(): void {
    const { stream } = this.#wire
    if (stream.writable) stream.write(Buffer.concat(this.#messages))
  }
}
