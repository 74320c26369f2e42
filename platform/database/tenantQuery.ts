import pg from 'pg'
import { serialize } from 'pg-protocol/dist/serializer.js'
import { SET_TENANT_NAME } from './statementNames.ts'
import { MessageBatch, type RowShape, rowShapes, type Wire } from './statementWire.ts'

/*
 * The one place that knows how a tenant reaches PostgreSQL: the setting `app.current_tenant_id`, which the row level
 * security policies read. It is always local to a transaction, so nothing of a tenant stays on a pooled connection.
 * A sharded database that does not propagate set_config would need `BEGIN; SET LOCAL …` here, and nothing elsewhere.
 */

const SETTING = 'app.current_tenant_id'
const SET_TENANT = `SELECT set_config('${SETTING}', $1, true)`
const READ_SETTING = /current_setting\(\s*'app\.current_tenant_id'/gi

/** The first message of a transaction: SET LOCAL takes no snapshot, so the isolation level may still be set after it. */
export function beginAsTenant(begin: string, tenantId: string): string {
  return `${begin}; SET LOCAL ${SETTING} = '${tenantId}'`
}

/** Whether a caller's SQL meddles with the tenant setting, which is this module's alone. Reading it is no harm. */
export function writesTenantSetting(text: string): boolean {
  if (!/current_tenant_id|set_config/i.test(text)) return false
  return /current_tenant_id|set_config/i.test(text.replaceAll(READ_SETTING, ''))
}

/** Prepares the setting once per new connection, so that each statement only binds and executes it. */
export async function prepareTenantSetting(client: pg.ClientBase): Promise<void> {
  await client.query({ name: SET_TENANT_NAME, text: SET_TENANT, values: [''] })
}

/** How a statement goes out: with the tenant set before it, or as it is inside a transaction that has it set. */
export type TenantQueryOptions = {
  tenantId: string
  /** False behind a pooler that does not keep prepared statements (PgBouncer before 1.21). */
  named: boolean
  /** Asked when the statement is sent, not when it is queued; a connection that never has transactions leaves it out. */
  inTransaction?: () => boolean
}

/** What pg reads from a statement's config, `types` and `rowMode` for its result. */
type Config = pg.QueryConfig & { rowMode?: string; rows?: number; portal?: string; binary?: boolean }

type WireResult = { fields: pg.FieldDef[]; _parsers: unknown; _prebuiltEmptyResultObject: unknown }
const Result = pg.Result as unknown as new (rowMode?: string, types?: unknown) => WireResult

/** pg's own query class: its wire methods are public in JavaScript only. */
const WireQuery = pg.Query as unknown as new (
  text: string,
  values: undefined,
  callback: (error: Error | null, result: pg.QueryResult) => void,
) => {
  name?: string
  text: string
  values?: unknown[]
  types?: unknown
  rows?: number
  binary?: boolean
  portal: string
  queryMode?: string
  _rowMode?: string
  _accumulateRows?: boolean
  _result: WireResult
  _results: WireResult
  prepare(wire: MessageBatch): void
  handleRowDescription(message: { fields: pg.FieldDef[] }): void
  handleDataRow(message: unknown): void
  handleCommandComplete(message: unknown, wire: Wire): void
}

const EXECUTE = serialize.execute({ portal: '' })
const TENANT_ID_LENGTH = 36
/** Bind and Execute of the prepared setting, for any tenant: only the id in it differs. */
const SET_ANY_TENANT = Buffer.concat([
  serialize.bind({ portal: '', statement: SET_TENANT_NAME, values: ['#'.repeat(TENANT_ID_LENGTH)] }),
  EXECUTE,
])
const TENANT_ID_AT = SET_ANY_TENANT.indexOf('#')

/** @param tenantId a UUID: `runAsTenant` lets nothing else in */
function setTenantMessage(tenantId: string): Buffer {
  const message = Buffer.from(SET_ANY_TENANT)
  message.write(tenantId, TENANT_ID_AT, TENANT_ID_LENGTH, 'latin1')
  return message
}

/**
 * A statement preceded by its tenant. Both go before one Sync: one implicit transaction, one round trip, and the
 * server forgets the setting when the statement ends, whether it succeeds or fails.
 */
export class TenantQuery extends WireQuery {
  readonly #options: TenantQueryOptions
  #awaitsSetting = false
  /** Where to keep this statement's row shape once the server has told it. */
  #shapes: Map<string, RowShape> | undefined

  constructor(
    config: Config,
    options: TenantQueryOptions,
    callback: (error: Error | null, result: pg.QueryResult) => void,
  ) {
    // Given a config, pg clones it property by property, which costs more than all else here.
    super('', undefined, callback)
    this.#options = options
    this.text = config.text
    if (options.named) this.name = config.name
    this.values = config.values
    this.rows = config.rows
    this.binary = config.binary
    if (config.portal) this.portal = config.portal
    if (config.types || config.rowMode) {
      this.types = config.types
      this._rowMode = config.rowMode
      this._result = this._results = new Result(config.rowMode, config.types)
    }
    // The simple protocol would allow several statements in one text; COMMIT among them would shed the tenant.
    this.queryMode = 'extended'
  }

  override prepare(wire: MessageBatch | Wire): void {
    const shape = this.#findShape(wire as Wire)
    if (shape) this.#expectRows(shape)
    const batch = new MessageBatch(wire as Wire, { describes: !shape })
    if (!this.#options.inTransaction?.()) this.#setTenant(batch)
    super.prepare(batch)
    batch.send()
  }

  override handleRowDescription(message: { fields: pg.FieldDef[] }): void {
    super.handleRowDescription(message)
    const { fields, _parsers: parsers, _prebuiltEmptyResultObject: emptyRow } = this._result
    const { types, _rowMode: rowMode } = this
    this.#shapes?.set(this.name as string, { fields, parsers, emptyRow, types, rowMode })
  }

  override handleDataRow(message: unknown): void {
    if (!this.#awaitsSetting) super.handleDataRow(message)
  }

  override handleCommandComplete(message: unknown, wire: Wire): void {
    if (this.#awaitsSetting) this.#awaitsSetting = false
    else super.handleCommandComplete(message, wire)
  }

  #setTenant(batch: MessageBatch): void {
    this.#awaitsSetting = true
    const { named, tenantId } = this.#options
    if (named) {
      batch.add(setTenantMessage(tenantId))
      return
    }
    batch.parse({ name: '', text: SET_TENANT })
    batch.bind({ portal: '', statement: '', values: [tenantId] })
    batch.add(EXECUTE)
  }

  #findShape(wire: Wire): RowShape | undefined {
    if (!this.name || this.binary) return undefined
    this.#shapes = rowShapes(wire)
    if (wire.parsedStatements[this.name] === undefined) return undefined
    const shape = this.#shapes.get(this.name)
    return shape && shape.types === this.types && shape.rowMode === this._rowMode ? shape : undefined
  }

  #expectRows({ fields, parsers, emptyRow }: RowShape): void {
    this._result.fields = fields
    this._result._parsers = parsers
    this._result._prebuiltEmptyResultObject = emptyRow
    this._accumulateRows = true
  }
}
