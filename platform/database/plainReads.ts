import type pg from 'pg'
import type { ColumnFacts, ModelFacts } from './dataModel.ts'
import { readAsPrisma } from './plainTypes.ts'
import { nameStatement } from './statementNames.ts'
import type { Arguments } from './tenantArguments.ts'

/**
 * `findMany` of one table as one SQL statement, whose rows are what Prisma would answer; null for what only Prisma can say
 * (relations, `include`, `distinct`, text search, values of another type than the column's …).
 *
 * Prisma's own engine takes two thirds of the time of a read by key, and its statement for a list of ids is another one
 * for each length of the list. Nearly all reads of the tiers are of this plain kind.
 */
export function planRead(model: ModelFacts, args: Arguments): pg.QueryConfig | null {
  const { where = {}, orderBy = [], take, skip, select, ...others } = args
  return plan(model, others, (read) => [
    `SELECT ${read.columns(select)} FROM "${model.table}"`,
    `WHERE ${read.condition(where)}`,
    ...read.order(orderBy),
    ...read.bound('LIMIT', take),
    ...read.bound('OFFSET', skip),
  ])
}

/** The same for `count` of rows: one row, `{ count }`. */
export function planCount(model: ModelFacts, args: Arguments): pg.QueryConfig | null {
  const { where = {}, ...others } = args
  return plan(model, others, (read) => [
    `SELECT count(*)::int AS count FROM "${model.table}"`,
    `WHERE ${read.condition(where)}`,
  ])
}

function plan(model: ModelFacts, others: Arguments, write: (read: PlainRead) => string[]): pg.QueryConfig | null {
  if (Object.values(others).some((value) => value !== undefined)) return null
  const read = new PlainRead(model)
  try {
    const text = write(read).join(' ')
    return { name: nameStatement({ sql: text }), text, values: read.values, types: readAsPrisma }
  } catch (error) {
    if (error instanceof NotPlain) return null
    throw error
  }
}

/** Thrown within this file, where a read turns out to be more than plain. */
class NotPlain extends Error {}

const COMPARISONS: Record<string, string> = { equals: '=', lt: '<', lte: '<=', gt: '>', gte: '>=' }
const DIRECTIONS: Record<string, string> = { asc: 'ASC', desc: 'DESC' }
const NULLS: Record<string, string> = { first: ' NULLS FIRST', last: ' NULLS LAST' }

class PlainRead {
  readonly values: unknown[] = []
  readonly #model: ModelFacts

  constructor(model: ModelFacts) {
    this.#model = model
  }

  columns(select: Arguments | null | undefined): string {
    const names = select
      ? Object.keys(select).filter((name) => isChosen(select[name]))
      : [...this.#model.columns.keys()]
    if (names.length === 0) throw new NotPlain()
    return names.map((name) => `"${this.#column(name).column}" AS "${name}"`).join(', ')
  }

  condition(where: Arguments): string {
    const parts: string[] = []
    for (const [name, value] of Object.entries(where)) {
      if (value === undefined) continue
      if (name === 'AND') parts.push(...asList(value).map((part) => this.condition(part)))
      else if (name === 'OR') parts.push(this.#anyOf(value))
      else if (name === 'NOT') parts.push(...asList(value).map((part) => `NOT (${this.#someCondition(part)})`))
      else parts.push(...this.#comparisons(this.#column(name), value))
    }
    const needed = parts.filter((part) => part !== 'TRUE')
    return needed.length > 0 ? needed.join(' AND ') : 'TRUE'
  }

  order(orderBy: Arguments | readonly Arguments[]): string[] {
    const terms = asList(orderBy).flatMap((term) => Object.entries(term))
    if (terms.length === 0) return []
    return ['ORDER BY', terms.map(([name, order]) => this.#orderTerm(name, order)).join(', ')]
  }

  /** A limit or an offset; a negative `take` means the last rows, which is more than plain. */
  bound(keyword: string, rows: unknown): string[] {
    if (rows === undefined) return []
    if (!Number.isInteger(rows) || (rows as number) < 0) throw new NotPlain()
    return [keyword, this.#bind(rows)]
  }

  #column(name: string): ColumnFacts {
    const column = this.#model.columns.get(name)
    if (!column) throw new NotPlain()
    return column
  }

  #anyOf(alternatives: unknown): string {
    const parts = asList(alternatives).map((part) => `(${this.#someCondition(part)})`)
    if (parts.length === 0) throw new NotPlain()
    return `(${parts.join(' OR ')})`
  }

  /** What an alternative or a negation without a condition means is for Prisma to say. */
  #someCondition(where: Arguments): string {
    const condition = this.condition(where)
    if (condition === 'TRUE') throw new NotPlain()
    return condition
  }

  #comparisons(field: ColumnFacts, filter: unknown): string[] {
    if (!isFilter(filter)) return [this.#equals(field, filter)]
    return Object.entries(filter)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => this.#comparison(field, name, value))
  }

  #comparison(field: ColumnFacts, name: string, value: unknown): string {
    if (name === 'equals') return this.#equals(field, value)
    if (name === 'not') {
      return value === null
        ? `"${field.column}" IS NOT NULL`
        : `"${field.column}" <> ${this.#bind(scalar(field, value))}`
    }
    if (name === 'in') return this.#among(field, scalars(field, value))
    if (name === 'notIn') return `"${field.column}" <> ALL (${this.#bind(scalars(field, value))})`
    const operator = COMPARISONS[name]
    if (!operator) throw new NotPlain()
    return `"${field.column}" ${operator} ${this.#bind(scalar(field, value))}`
  }

  #equals(field: ColumnFacts, value: unknown): string {
    return value === null ? `"${field.column}" IS NULL` : `"${field.column}" = ${this.#bind(scalar(field, value))}`
  }

  /** One value by itself: an index is in order behind one, not behind several. */
  #among(field: ColumnFacts, values: unknown[]): string {
    if (values.length === 1) return `"${field.column}" = ${this.#bind(values[0])}`
    return `"${field.column}" = ANY (${this.#bind(values)})`
  }

  #orderTerm(name: string, order: unknown): string {
    const { sort, nulls } = typeof order === 'string' ? { sort: order, nulls: undefined } : (order as Arguments)
    const direction = DIRECTIONS[sort]
    const place = nulls === undefined ? '' : NULLS[nulls]
    if (direction === undefined || place === undefined) throw new NotPlain()
    return `"${this.#column(name).column}" ${direction}${place}`
  }

  #bind(value: unknown): string {
    this.values.push(value)
    return `$${this.values.length}`
  }
}

function isChosen(value: unknown): boolean {
  if (value !== undefined && typeof value !== 'boolean') throw new NotPlain()
  return value === true
}

/** `{ gt: 1 }` rather than a value to be equal to. */
function isFilter(value: unknown): value is Arguments {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function asList(value: unknown): Arguments[] {
  const list = Array.isArray(value) ? value : [value]
  if (!list.every(isFilter)) throw new NotPlain()
  return list
}

const ACCEPTS: Record<string, (value: unknown) => boolean> = {
  String: (value) => typeof value === 'string',
  Boolean: (value) => typeof value === 'boolean',
  Int: Number.isInteger,
  BigInt: (value) => typeof value === 'bigint' || Number.isSafeInteger(value),
  Float: Number.isFinite,
  DateTime: (value) => value instanceof Date,
}

/** A value as pg sends it. Dates as texts in UTC: pg would write them in the process's time zone, in which a day differs. */
function scalar({ type }: ColumnFacts, value: unknown): unknown {
  if (!ACCEPTS[type]?.(value)) throw new NotPlain()
  return value instanceof Date ? value.toISOString() : value
}

function scalars(field: ColumnFacts, values: unknown): unknown[] {
  if (!Array.isArray(values)) throw new NotPlain()
  return values.map((value) => scalar(field, value))
}
