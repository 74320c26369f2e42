import { jest } from '@jest/globals'
import pg from 'pg'

export type SentStatement = { text: string; values: unknown[] }

/** What a plan reads of one table, or of one partition of it. */
export type Access = { table: string; how: string; index: string | null }

type Plan = {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  Plans?: Plan[]
}

/** The statements, with their values, that any pool of this process sends while `work` runs. */
export async function statementsDuring(work: () => Promise<unknown>): Promise<SentStatement[]> {
  const query = jest.spyOn(pg.Client.prototype, 'query')
  try {
    await work()
    return query.mock.calls.map(([statement, values]) => {
      const sent = statement as unknown as string | { text: string; values?: unknown[] }
      return typeof sent === 'string'
        ? { text: sent, values: (values ?? []) as unknown[] }
        : { text: sent.text, values: sent.values ?? [] }
    })
  } finally {
    query.mockRestore()
  }
}

/** Everything that PostgreSQL would read for a statement: partitions and their indexes by the name without their number. */
export async function explain(
  query: (text: string, values: unknown[]) => Promise<pg.QueryResult>,
  { text, values }: SentStatement,
): Promise<Access[]> {
  const { rows } = await query(`EXPLAIN (FORMAT JSON) ${text}`, values)
  return readPlan(rows[0]['QUERY PLAN'][0].Plan)
}

/** Columns and condition of every index of the database, by its name. */
export async function readDefinitions(owner: pg.ClientBase): Promise<Map<string, string>> {
  const { rows } = await owner.query<{ name: string; definition: string }>(
    `SELECT indexname AS name, regexp_replace(indexdef, '^.* USING ', '') AS definition FROM pg_indexes
     WHERE schemaname = 'public'`,
  )
  return new Map(rows.map(({ name, definition }) => [withoutNumber(name), definition.replace(/^btree /, '')]))
}

function readPlan(plan: Plan, tableAbove?: string): Access[] {
  const { 'Node Type': how, 'Index Name': index, Plans: parts = [] } = plan
  // Of a bitmap, the index stands in one node and the table in the one above.
  const relation = plan['Relation Name'] ?? (how === 'Bitmap Index Scan' ? tableAbove : undefined)
  const table = relation && withoutNumber(relation)
  const own = table && how !== 'Bitmap Heap Scan' ? [{ table, how, index: index ? withoutNumber(index) : null }] : []
  return [...own, ...parts.flatMap((part) => readPlan(part, relation ?? tableAbove))]
}

function withoutNumber(name: string): string {
  return name.replace(/_p\d+(?=_|$)/, '')
}
