import { badCursor, decodeCursor, encodeCursor, listSignature, type SortValue } from './cursors.ts'
import { type Connection, makeConnection, type PageArguments, parsePageArgs } from './pages.ts'
import { nameStatement } from './statementNames.ts'
import type { Queryable } from './tenantPool.ts'
import { currentTenant } from './tenantScope.ts'

/** Adds a value to a statement and answers its placeholder (`$3`). */
export type Bind = (value: unknown) => string

/** A list nested in several parents at once: the messages of each of these campaigns. Names are SQL names. */
export type PerParentQuery = {
  table: string
  /** Column that names the parent. */
  parentColumn: string
  parentIds: readonly string[]
  parentType?: 'uuid' | 'text' | 'varchar'
  /** NOT NULL columns; the id is added as the last one unless it is there. */
  sort: readonly { column: string; direction: 'asc' | 'desc' }[]
  idColumn?: string
  /** A further condition on the table's row `t`: `(bind) => \`t.status = ${bind('failed')}\``. */
  where?: (bind: Bind) => string
  first?: number | null
  after?: string | null
}

type PageRow = { id: string; place: SortValue[] }

/**
 * One page of ids per parent, for all parents in ONE statement of the tenant in scope; parents without rows have an empty
 * page. `totalCount`s share one more statement, sent when the first of them is asked for.
 * @throws AppError INVALID_INPUT as `findPage` does
 */
export async function findPageIdsPerParent(
  db: Queryable,
  query: PerParentQuery,
): Promise<Map<string, Connection<string>>> {
  const page = parsePageArgs(query)
  const parentIds = [...new Set(query.parentIds)]
  if (parentIds.length === 0) return new Map()
  const list = readList(query)
  const signature = listSignature(`${query.table}.${query.parentColumn}`, list.order)
  const place = page.after === null ? null : decodeCursor(page.after, signature, list.order.length)
  const rows = await findRows(db, { list, parentIds, page, place })
  const counts = countOnce(db, list, parentIds)
  return new Map(
    parentIds.map((parent) => {
      const own = rows.get(parent) ?? []
      const places = new Map(own.map((row) => [row.id, row.place]))
      const connection = makeConnection({
        rows: own.map((row) => row.id),
        page,
        cursorOf: (id) => encodeCursor(signature, places.get(id) ?? []),
        count: async () => (await counts()).get(parent) ?? 0,
      })
      return [parent, connection]
    }),
  )
}

/** The same page with rows in place of ids, each through `load` (a DataLoader); rows gone meanwhile are left out. */
export async function loadNodes<Node>(
  ids: Connection<string>,
  load: (id: string) => Promise<Node | null | undefined>,
): Promise<Connection<Node>> {
  const loaded = await Promise.all(ids.edges.map(async ({ node, cursor }) => ({ node: await load(node), cursor })))
  const edges = loaded.filter((edge): edge is { node: Awaited<Node> & Node; cursor: string } => edge.node != null)
  return { ...ids, edges, nodes: edges.map(({ node }) => node) }
}

type List = PerParentQuery & {
  id: string
  order: readonly { column: string; direction: 'asc' | 'desc' }[]
  parentType: string
}

function readList(query: PerParentQuery): List {
  const id = query.idColumn ?? 'id'
  const direction = query.sort.at(-1)?.direction ?? 'asc'
  const order = query.sort.some(({ column }) => column === id) ? query.sort : [...query.sort, { column: id, direction }]
  // Names come from our own code, never from a client; this keeps it so.
  for (const name of [query.table, query.parentColumn, ...order.map(({ column }) => column)]) {
    if (!/^[a-z_][a-z0-9_]*$/.test(name)) throw new Error(`${name} is not a column or table name`)
  }
  return { ...query, id, order, parentType: query.parentType ?? 'uuid' }
}

async function findRows(
  db: Queryable,
  { list, parentIds, page, place }: { list: List; parentIds: string[]; page: PageArguments; place: SortValue[] | null },
): Promise<Map<string, PageRow[]>> {
  const { values, bind } = collectValues()
  const columns = list.order.map(({ column }) => `t.${column}`)
  const conditions = [
    `t.tenant_id = ${bind(currentTenant())}::uuid`,
    `t.${list.parentColumn} = p.parent`,
    ...(list.where ? [`(${list.where(bind)})`] : []),
    ...(place ? [after(list.order, place, bind)] : []),
  ]
  const orderBy = list.order.map(({ column, direction }) => `t.${column} ${direction}`).join(', ')
  const sql = `
    SELECT p.parent, r.* FROM unnest(${bind(parentIds)}::${list.parentType}[]) AS p(parent)
    CROSS JOIN LATERAL (
      SELECT t.${list.id} AS id, ${columns.map((column, i) => `${column} AS s${i}`).join(', ')}
      FROM ${list.table} t WHERE ${conditions.join(' AND ')}
      ORDER BY ${orderBy} LIMIT ${bind(page.first + 1)}
    ) r ORDER BY ${list.order.map(({ direction }, i) => `r.s${i} ${direction}`).join(', ')}`
  const result = await db
    .query<Record<string, SortValue>>({ name: nameStatement({ sql }), text: sql, values })
    .catch((error: unknown) => {
      throw place && isBadValue(error) ? badCursor(error) : error
    })
  const pages = new Map<string, PageRow[]>(parentIds.map((parent) => [parent, []]))
  for (const row of result.rows) {
    const place = list.order.map((_, i) => row[`s${i}`] as SortValue)
    pages.get(String(row.parent))?.push({ id: String(row.id), place })
  }
  return pages
}

/** Rows after a place: a row comparison where all columns run the same way, which an index can start at. */
function after(order: List['order'], place: readonly SortValue[], bind: Bind): string {
  const marks = place.map(bind)
  const operator = (direction: string) => (direction === 'asc' ? '>' : '<')
  if (new Set(order.map(({ direction }) => direction)).size === 1) {
    const columns = order.map(({ column }) => `t.${column}`).join(', ')
    return `(${columns}) ${operator(order[0]?.direction ?? 'asc')} (${marks.join(', ')})`
  }
  const alternatives = order.map(({ column, direction }, index) => {
    const equal = order.slice(0, index).map((earlier, i) => `t.${earlier.column} = ${marks[i]}`)
    return [...equal, `t.${column} ${operator(direction)} ${marks[index]}`].join(' AND ')
  })
  return `(${alternatives.map((alternative) => `(${alternative})`).join(' OR ')})`
}

function countOnce(db: Queryable, list: List, parentIds: string[]): () => Promise<Map<string, number>> {
  let counted: Promise<Map<string, number>> | undefined
  const count = async () => {
    const { values, bind } = collectValues()
    const parent = `t.${list.parentColumn}`
    const sql = `
      SELECT ${parent} AS parent, count(*)::int AS count FROM ${list.table} t
      WHERE t.tenant_id = ${bind(currentTenant())}::uuid AND ${parent} = ANY(${bind(parentIds)}::${list.parentType}[])
        ${list.where ? `AND (${list.where(bind)})` : ''}
      GROUP BY 1`
    const { rows } = await db.query<{ parent: string; count: number }>(sql, values)
    return new Map(rows.map((row) => [String(row.parent), row.count]))
  }
  return () => (counted ??= count())
}

function collectValues(): { values: unknown[]; bind: Bind } {
  const values: unknown[] = []
  return { values, bind: (value) => `$${values.push(value)}` }
}

/** Invalid text representation, datetime or number: in a cursor, made up by a client. */
function isBadValue(error: unknown): boolean {
  return ['22P02', '22007', '22008', '22003', '22021'].includes((error as { code?: string }).code ?? '')
}
