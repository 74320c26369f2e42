import type { Types } from '@prisma/client/runtime/client'
import { AppError } from '../errors.ts'
import { badCursor, decodeCursor, encodeCursor, listSignature } from './cursors.ts'
import { keysetFilter, keysetOrder, valueAt } from './keyset.ts'
import { keepTenant } from './tenantScope.ts'

export const DEFAULT_PAGE_SIZE = 20
export const MAX_PAGE_SIZE = 100

export type Edge<Node> = { node: Node; cursor: string }

export type PageInfo = {
  hasNextPage: boolean
  hasPreviousPage: boolean
  startCursor: string | null
  endCursor: string | null
}

/**
 * A Relay connection. `totalCount` is a function: GraphQL's default resolver calls it only when a client asks; it counts
 * as the tenant that the page was read for.
 */
export type Connection<Node> = {
  edges: Edge<Node>[]
  nodes: Node[]
  pageInfo: PageInfo
  totalCount: () => Promise<number>
}

/** Rows to skip to and how many to take, already checked. */
export type PageArguments = { first: number; after: string | null }

/**
 * One column of an order. A nullable column must say where its nulls go. `field` may lead over a to-one relation
 * (`metrics.replyRate`) if `include` loads it.
 */
export type SortField = { field: string; direction: 'asc' | 'desc'; nulls?: 'first' | 'last' }

/**
 * Checks a connection's arguments: `first` 1..100, by default 20.
 * @throws AppError INVALID_INPUT naming the argument and its limits
 */
export function parsePageArgs({ first, after }: { first?: number | null; after?: string | null }): PageArguments {
  const size = first ?? DEFAULT_PAGE_SIZE
  if (!Number.isInteger(size) || size < 1 || size > MAX_PAGE_SIZE) {
    throw new AppError('INVALID_INPUT', `first: must be between 1 and ${MAX_PAGE_SIZE}, not ${size}`)
  }
  return { first: size, after: after ?? null }
}

/** A Prisma delegate, of the tenant client or the system client. */
export type PageDelegate = {
  // biome-ignore lint/suspicious/noExplicitAny: each model has its own argument types
  findMany(args?: any): PromiseLike<unknown[]>
  // biome-ignore lint/suspicious/noExplicitAny: as above
  count(args?: any): PromiseLike<any>
}

type FindArgs<Delegate> = Types.Public.Args<Delegate, 'findMany'>
type Shape<Delegate> = {
  [Key in keyof FindArgs<Delegate> & ('select' | 'include' | 'omit')]?: FindArgs<Delegate>[Key]
}

export type PageQuery<Delegate> = {
  where?: FindArgs<Delegate>['where']
  /** `key` is added as the last column unless it is there: a cursor must point between two rows. */
  sort: readonly SortField[]
  /** The column that tells rows of a tenant apart; `id` unless said otherwise. */
  key?: string
  first?: number | null
  after?: string | null
}

type Row<Delegate, Query> = Types.Public.Result<Delegate, Pick<Query, keyof Query & keyof Shape<Delegate>>, 'findMany'>

/**
 * One page of a model's rows. `select`, if given, must include the sorted columns.
 * @throws AppError INVALID_INPUT for `first` out of bounds or a cursor of another list or order
 */
export async function findPage<
  Delegate extends PageDelegate,
  const Query extends PageQuery<Delegate> & Shape<Delegate>,
>(delegate: Delegate, query: Query): Promise<Connection<Row<Delegate, Query>[number]>> {
  const { where, sort, key, first, after, ...shape } = query as PageQuery<Delegate>
  const page = parsePageArgs({ first, after })
  const order = withTieBreaker(sort, key)
  const signature = listSignature((delegate as { name?: string }).name ?? '', order)
  const place = page.after === null ? null : decodeCursor(page.after, signature, order.length)
  if (place && order.some(({ nulls }, column) => place[column] === null && !nulls)) throw badCursor()
  const rows = await findRows(delegate, {
    ...shape,
    where: place ? { AND: [where ?? {}, keysetFilter(order, place)] } : where,
    orderBy: keysetOrder(order),
    take: page.first + 1,
  }).catch((error: unknown) => {
    throw place && isBadValue(error) ? badCursor(error) : error
  })
  return makeConnection({
    rows: rows as Row<Delegate, Query>[number][],
    page,
    cursorOf: (row) =>
      encodeCursor(
        signature,
        order.map(({ field }) => valueAt(row, field)),
      ),
    count: async () => (await delegate.count({ where })) as number,
  })
}

/** A connection of `rows`, which hold one row more than the page if there is a next one. */
export function makeConnection<Node>(parts: {
  rows: readonly Node[]
  page: PageArguments
  cursorOf: (row: Node) => string
  count: () => Promise<number>
}): Connection<Node> {
  const { rows, page, cursorOf } = parts
  const count = keepTenant(parts.count)
  const edges = rows.slice(0, page.first).map((node) => ({ node, cursor: cursorOf(node) }))
  let counted: Promise<number> | undefined
  return {
    edges,
    nodes: edges.map(({ node }) => node),
    pageInfo: {
      hasNextPage: rows.length > page.first,
      hasPreviousPage: page.after !== null,
      startCursor: edges.at(0)?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
    totalCount: () => (counted ??= count()),
  }
}

/** The order with the key at its end, in the direction of the column before it. */
export function withTieBreaker(sort: readonly SortField[], key = 'id'): SortField[] {
  if (sort.some(({ field }) => field === key)) return [...sort]
  return [...sort, { field: key, direction: sort.at(-1)?.direction ?? 'asc' }]
}

async function findRows(delegate: PageDelegate, args: object): Promise<unknown[]> {
  return await delegate.findMany(args)
}

/** What Prisma and PostgreSQL say to a value of the wrong type or form: with a cursor, one that a client made up. */
const BAD_VALUES = new Set(['P2005', 'P2006', 'P2007', 'P2019', 'P2020', 'P2023', 'P2033'])
const POSTGRES_DATA_EXCEPTION = /^22...$/

function isBadValue(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code = '' } = error as { code?: string }
  return error.name === 'PrismaClientValidationError' || BAD_VALUES.has(code) || POSTGRES_DATA_EXCEPTION.test(code)
}
