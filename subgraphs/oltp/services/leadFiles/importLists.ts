import { decodeCursor, encodeCursor, listSignature } from '#platform/database/cursors.ts'
import {
  type Connection,
  findPage,
  makeConnection,
  type PageArguments,
  parsePageArgs,
} from '#platform/database/pages.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { isUuid } from '#platform/graph/ids.ts'
import type { Database } from '../../database.ts'
import { NEWEST_FIRST, type PageInput } from '../lists.ts'
import type { LeadImportErrorRow, LeadImportRow } from '../rows.ts'

/** A page of the tenant's imports, newest first. */
export function findImports(db: Database, page: PageInput) {
  return findPage(db.tenant.leadImport, { ...page, sort: NEWEST_FIRST })
}

/** An import of the tenant; null for an unknown one. */
export async function findImport(db: Database, id: string): Promise<LeadImportRow | null> {
  return isUuid(id) ? db.tenant.leadImport.findFirst({ where: { id: id.toLowerCase() } }) : null
}

/** A page of one import's errors, by row. */
export type ErrorPageKey = PageInput & { leadImport: Pick<LeadImportRow, 'id'> }

type Asked = { id: string; page: PageArguments; after: number }

const SIGNATURE = listSignature('LeadImportError', [{ direction: 'asc' }])

const FIND = `
  SELECT e.lead_import_id AS "leadImportId", e.row_number AS "rowNumber", e.code, e.message, e.row_text AS "rowText"
  FROM unnest($2::uuid[], $3::int[], $4::int[]) AS asked(id, after, most)
  CROSS JOIN LATERAL (
    SELECT * FROM lead_import_errors WHERE tenant_id = $1 AND lead_import_id = asked.id AND row_number > asked.after
    ORDER BY row_number LIMIT asked.most) AS e
  ORDER BY e.lead_import_id, e.row_number`

const COUNT = 'SELECT count(*)::int AS count FROM lead_import_errors WHERE tenant_id = $1 AND lead_import_id = $2'

/**
 * Pages of errors of several imports, in one statement.
 * @throws AppError INVALID_INPUT for a bad page or cursor
 */
export async function batchErrorPages(
  db: Database,
  keys: readonly ErrorPageKey[],
): Promise<(Connection<LeadImportErrorRow> | Error)[]> {
  const asked = keys.map((key): Asked | Error => {
    try {
      const page = parsePageArgs(key)
      const after = page.after === null ? 0 : Number(decodeCursor(page.after, SIGNATURE, 1)[0])
      return { id: key.leadImport.id, page, after: Number.isSafeInteger(after) && after < 2 ** 31 ? after : 0 }
    } catch (error) {
      return error as Error
    }
  })
  const wanted = asked.filter((one): one is Asked => !(one instanceof Error))
  const { rows } = await db.tenantSql.query<LeadImportErrorRow>(FIND, [
    currentTenant(),
    wanted.map(({ id }) => id),
    wanted.map(({ after }) => after),
    wanted.map(({ page }) => page.first + 1),
  ])
  return asked.map((one) => {
    if (one instanceof Error) return one
    const { id, page, after } = one
    const own = rows.filter((row) => row.leadImportId === id && row.rowNumber > after)
    return makeConnection({
      rows: uniqueByRow(own).slice(0, page.first + 1),
      page,
      cursorOf: (row) => encodeCursor(SIGNATURE, [row.rowNumber]),
      count: async () =>
        (await db.tenantSql.query<{ count: number }>(COUNT, [currentTenant(), id])).rows[0]?.count ?? 0,
    })
  })
}

/** The rows of pages that overlap came more than once, in order. */
function uniqueByRow(rows: readonly LeadImportErrorRow[]): LeadImportErrorRow[] {
  return rows.filter(({ rowNumber }, index) => rows[index - 1]?.rowNumber !== rowNumber)
}
