// Prisma's pg driver adapter, with what the schema engine needs and the adapter lacks.
// Plain JavaScript: the stand-in starts for every Prisma command, and a TypeScript loader would triple its start-up.
import { randomUUID } from 'node:crypto'
import { PrismaPg } from '@prisma/adapter-pg'
import { ColumnTypeEnum, DriverAdapterError } from '@prisma/driver-adapter-utils'
import pg from 'pg'

/** A factory of adapters for the engine: the database at `url`, and empty shadow databases beside it. */
export class EngineAdapterFactory extends PrismaPg {
  /**
   * @param {string} url database to work on
   * @param {string} [shadowUrl] a database that may be emptied at will; without it, one is created for each use,
   *   which needs the CREATEDB right
   */
  constructor(url, shadowUrl) {
    super(poolSettings(url))
    this.url = url
    this.shadowUrl = shadowUrl
    this.pools = []
  }

  async connect() {
    const adapter = completeAdapter(await super.connect())
    this.pools.push(adapter.underlyingDriver())
    return adapter
  }

  async connectToShadowDb() {
    return this.shadowUrl ? await emptiedDatabase(this.shadowUrl) : await temporaryDatabase(this.url)
  }

  /** Ends the connections that the engine left open. */
  async close() {
    await Promise.all(this.pools.splice(0).map((pool) => (pool.ended ? undefined : pool.end())))
  }
}

/** `url` with another database name. */
export function withDatabase(url, database) {
  const changed = new URL(url)
  changed.pathname = `/${encodeURIComponent(database)}`
  return changed.href
}

// One connection: the engine's advisory lock belongs to a session and must be held by the one that migrates.
function poolSettings(url) {
  const utc = new URL(url)
  utc.searchParams.set('options', `${utc.searchParams.get('options') ?? ''} -c TimeZone=UTC`.trim())
  return { connectionString: utc.href, max: 1 }
}

async function emptiedDatabase(url) {
  const adapter = completeAdapter(await new PrismaPg(poolSettings(url)).connect())
  await adapter.executeScript('DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public')
  return closingWith(adapter, async () => {})
}

async function temporaryDatabase(url) {
  const database = `prisma_shadow_${randomUUID()}`
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  await admin.query(`CREATE DATABASE "${database}"`)
  const adapter = completeAdapter(await new PrismaPg(poolSettings(withDatabase(url, database))).connect())
  return closingWith(adapter, async () => {
    await admin.query(`DROP DATABASE "${database}" WITH (FORCE)`)
    await admin.end()
  })
}

function closingWith(adapter, cleanUp) {
  const pool = adapter.underlyingDriver()
  adapter.dispose = async () => {
    await pool.end().catch(() => {})
    await cleanUp()
  }
  return adapter
}

function completeAdapter(adapter) {
  const pool = adapter.underlyingDriver()
  const queryRaw = adapter.queryRaw.bind(adapter)
  // The adapter splits a script at every semicolon, inside function bodies too. As one simple-protocol message it
  // stays whole, and Postgres runs it as one transaction.
  adapter.executeScript = async (script) => {
    await pool.query(script).catch(throwAsDriverError)
  }
  adapter.queryRaw = async (query) => {
    try {
      return await queryRaw(query)
    } catch (error) {
      if (error?.cause?.kind !== 'UnsupportedNativeDataType') throw error
      return await queryCatalogue(pool, query)
    }
  }
  return adapter
}

function throwAsDriverError(error) {
  throw new DriverAdapterError({
    kind: 'postgres',
    code: error.code ?? 'N/A',
    severity: error.severity ?? 'ERROR',
    message: error.message,
    detail: error.detail,
    column: error.column,
    hint: error.hint,
  })
}

const CHAR_ARRAY = 1002
const NAME_ARRAY = 1003
const TEXT_ARRAY = 1009

// Types of the system catalogues' columns by their OIDs; the adapter knows neither "char" (18) nor name[] (1003).
const CATALOGUE_TYPES = {
  16: ColumnTypeEnum.Boolean,
  18: ColumnTypeEnum.Character,
  20: ColumnTypeEnum.Int64,
  21: ColumnTypeEnum.Int32,
  23: ColumnTypeEnum.Int32,
  26: ColumnTypeEnum.Int64,
  700: ColumnTypeEnum.Float,
  701: ColumnTypeEnum.Double,
  [CHAR_ARRAY]: ColumnTypeEnum.CharacterArray,
  [NAME_ARRAY]: ColumnTypeEnum.TextArray,
  1005: ColumnTypeEnum.Int32Array,
  1007: ColumnTypeEnum.Int32Array,
  [TEXT_ARRAY]: ColumnTypeEnum.TextArray,
  1016: ColumnTypeEnum.Int64Array,
  1028: ColumnTypeEnum.Int64Array,
  1184: ColumnTypeEnum.DateTime,
  2950: ColumnTypeEnum.Uuid,
}

async function queryCatalogue(pool, query) {
  const getTypeParser = (oid, format) =>
    pg.types.getTypeParser(oid === NAME_ARRAY || oid === CHAR_ARRAY ? TEXT_ARRAY : oid, format)
  const result = await pool
    .query({ text: query.sql, values: query.args, rowMode: 'array', types: { getTypeParser } })
    .catch(throwAsDriverError)
  return {
    columnNames: result.fields.map((field) => field.name),
    columnTypes: result.fields.map((field) => CATALOGUE_TYPES[field.dataTypeID] ?? ColumnTypeEnum.Text),
    rows: result.rows,
  }
}
