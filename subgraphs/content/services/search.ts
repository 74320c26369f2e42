import { badCursor, decodeCursor, encodeCursor, listSignature } from '#platform/database/cursors.ts'
import { type Connection, makeConnection, parsePageArgs } from '#platform/database/pages.ts'
import { AppError } from '#platform/errors.ts'
import type { Database } from '../database.ts'

const LIST = listSignature('searchContent', [{ direction: 'desc' }, { direction: 'desc' }])
const SHORTEST = 2
const LONGEST = 200

const SEARCH = `
  SELECT storage_key AS "storageKey", created_at AS "createdAt" FROM search_content($1, $2, $3, $4)`
const COUNT = 'SELECT count(*)::int AS count FROM search_content($1, NULL, NULL, NULL)'

type PageInput = { first?: number | null; after?: string | null }
type Hit = { storageKey: string; createdAt: Date }

/**
 * Storage keys of the tenant's mails that hold all the words ("a phrase", or, -without), or have the text as a piece of
 * their subject, addresses or file names; newest first.
 * @throws AppError INVALID_INPUT for a text that is too short or too long, a bad page or cursor
 */
export async function searchContent(db: Database, words: string, input: PageInput): Promise<Connection<string>> {
  const page = parsePageArgs(input)
  const text = words.trim()
  if (text.length < SHORTEST || text.length > LONGEST || text.includes('\0')) {
    throw new AppError('INVALID_INPUT', `words: must have ${SHORTEST} to ${LONGEST} characters`)
  }
  const [before, key] = page.after === null ? [null, null] : decodeCursor(page.after, LIST, 2)
  if (page.after !== null && !(before instanceof Date && typeof key === 'string')) throw badCursor()
  const statement = { name: 'search_content', text: SEARCH }
  const { rows } = await db.tenantSql.query<Hit>(statement, [text, before, key, page.first + 1])
  const placeOf = new Map(rows.map(({ storageKey, createdAt }) => [storageKey, createdAt]))
  return makeConnection({
    rows: rows.map(({ storageKey }) => storageKey),
    page,
    cursorOf: (storageKey) => encodeCursor(LIST, [placeOf.get(storageKey) as Date, storageKey]),
    count: async () => {
      const counted = { name: 'count_content', text: COUNT }
      return (await db.tenantSql.query<{ count: number }>(counted, [text])).rows[0]?.count ?? 0
    },
  })
}
