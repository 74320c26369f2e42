import pg from 'pg'

/*
 * The one place that knows how a tenant reaches PostgreSQL: the setting `app.current_tenant_id`, which the row level
 * security policies read. It is always local to a transaction, so nothing of a tenant stays on a pooled connection.
 * A sharded database that does not propagate set_config would need `BEGIN; SET LOCAL …` here, and nothing elsewhere.
 */

const SETTING = 'app.current_tenant_id'
const SET_TENANT = `SELECT set_config('${SETTING}', $1, true)`
const SET_TENANT_NAME = 'set_tenant'
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

/** The parts of pg's wire connection used here; @types/pg leaves them out. */
type Wire = {
  parse(message: { name: string; text: string }): void
  bind(message: { portal: string; statement: string; values: string[] }): void
  execute(message: { portal: string }): void
}

/** What pg reads from a statement's config, `types` and `rowMode` for its result. */
type Config = pg.QueryConfig & { rowMode?: string; rows?: number; portal?: string; binary?: boolean }

const WireResult = pg.Result as unknown as new (rowMode?: string, types?: unknown) => object

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
  _result: object
  _results: object
  prepare(wire: Wire): void
  handleDataRow(message: unknown): void
  handleCommandComplete(message: unknown, wire: Wire): void
}

/**
 * A statement preceded by its tenant. Both go before one Sync: one implicit transaction, one round trip, and the
 * server forgets the setting when the statement ends, whether it succeeds or fails.
 */
export class TenantQuery extends WireQuery {
  readonly #options: TenantQueryOptions
  #awaitsSetting = false

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
      this._result = this._results = new WireResult(config.rowMode, config.types)
    }
    // The simple protocol would allow several statements in one text; COMMIT among them would shed the tenant.
    this.queryMode = 'extended'
  }

  override prepare(wire: Wire): void {
    if (!this.#options.inTransaction?.()) {
      this.#awaitsSetting = true
      const statement = this.#options.named ? SET_TENANT_NAME : ''
      if (!this.#options.named) wire.parse({ name: statement, text: SET_TENANT })
      wire.bind({ portal: '', statement, values: [this.#options.tenantId] })
      wire.execute({ portal: '' })
    }
    super.prepare(wire)
  }

  override handleDataRow(message: unknown): void {
    if (!this.#awaitsSetting) super.handleDataRow(message)
  }

  override handleCommandComplete(message: unknown, wire: Wire): void {
    if (this.#awaitsSetting) this.#awaitsSetting = false
    else super.handleCommandComplete(message, wire)
  }
}
