import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { type ContentTier, STAFF, serviceOf, startContentTier, userOf } from './contentTier.ts'
import { mail, mailWithFiles, PLAIN } from './mails.ts'

let tier: ContentTier
const demo = randomUUID()
const rival = randomUUID()

const SEARCH = `query ($words: String!, $first: Int, $after: String) {
  searchContent(words: $words, first: $first, after: $after) { totalCount nodes { storageKey } pageInfo { hasNextPage endCursor } } }`

beforeAll(async () => {
  tier = await startContentTier()
  await tier.store(demo, {
    offer: mail(PLAIN, 'We would like to discuss your Angebot for the grüne Küche.'),
    refusal: mail(PLAIN, 'No interest. Discuss it with somebody else.'),
    csv: mailWithFiles({ headers: ['Content-Type: text/csv; name=pricelist-2026.csv'], body: 'a,b' }),
    noise: Buffer.from('no mail at all'),
  })
  await tier.store(
    demo,
    Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`many/${n}`, mail(PLAIN, `lot ${n}`)])),
  )
  await tier.store(rival, { theirs: mail(PLAIN, 'discuss our secret angebot') })
  while ((await tier.indexer.step()) > 0);
})
afterAll(() => tier?.stop())

const find = async (words: string, more: object = {}, as = userOf(demo)) => {
  const { data, errors } = await tier.ask(SEARCH, { words, ...more }, as)
  return { code: errors?.[0]?.extensions.code, ...data?.searchContent }
}
const keys = async (words: string, as = userOf(demo)) =>
  (await find(words, {}, as)).nodes.map(({ storageKey }: { storageKey: string }) => storageKey).sort()

describe('mails are found by what they say', () => {
  test.each([
    ['discuss', ['offer', 'refusal']],
    ['DISCUSS angebot', ['offer']],
    ['"grüne küche"', ['offer']],
    ['"küche grüne"', []],
    ['discuss -angebot', ['refusal']],
    ['küche or interest', ['offer', 'refusal']],
    ['pricelist', ['csv']],
    ['icelist-20', ['csv']],
    ['nowhere', []],
    ['100%', []],
    ['a_b\\', []],
    ["'; DROP TABLE content_search; --", []],
    ['((((', []],
  ])('%s', async (words, expected) => {
    expect(await keys(words)).toEqual(expected)
  })

  test('by their own tenant alone', async () => {
    expect(await keys('angebot')).toEqual(['offer'])
    expect(await keys('angebot', userOf(rival))).toEqual(['theirs'])
    expect(await keys('angebot', userOf(randomUUID()))).toEqual([])
    expect((await find('angebot', {}, STAFF)).code).toBe('FORBIDDEN')
    expect((await find('angebot', {}, serviceOf(demo))).code).toBe('FORBIDDEN')
  })

  test('newest first, page by page, each once, and counted', async () => {
    const first = await find('lot', { first: 20 })
    const second = await find('lot', { first: 20, after: first.pageInfo.endCursor })
    const all = [...first.nodes, ...second.nodes].map(({ storageKey }) => storageKey)
    expect([first.totalCount, second.pageInfo.hasNextPage]).toEqual([30, false])
    expect(new Set(all).size).toBe(30)
  })

  test.each([['x'], [''], ['   '], ['x'.repeat(201)], ['a\0b']])('%j is refused', async (words) => {
    expect((await find(words)).code).toBe('INVALID_INPUT')
  })

  test('a cursor of another list is refused', async () => {
    expect((await find('lot', { after: 'WyJhIl0' })).code).toBe('INVALID_INPUT')
  })
})

test('a mail is found once it is indexed, and what cannot be read holds nothing up', async () => {
  await tier.store(demo, { broken: mail(PLAIN, 'unreadable zebra'), late: mail(PLAIN, 'readable zebra') })
  expect(await keys('zebra')).toEqual([])
  await tier.db.systemSql.query(
    `UPDATE content_blobs SET bytes = '\\x00' FROM content_objects o
     WHERE o.tenant_id = $1 AND o.storage_key = 'broken' AND content_blobs.tenant_id = $1 AND content_blobs.hash = o.text_hash`,
    [demo],
  )
  await tier.indexer.step()
  expect(await keys('zebra')).toEqual(['late'])
  expect(await tier.indexer.step()).toBe(0)
})

test('words and pieces come from their indexes, however many mails there are', async () => {
  await tier.db.systemSql.query(
    `INSERT INTO content_objects (tenant_id, id, storage_key, key_version, raw_hash, headers, envelope, parse_status,
       raw_size_bytes, stored_size_bytes, content_hash, retention_days, expires_at)
     SELECT o.tenant_id, gen_random_uuid(), 'bulk/' || n, o.key_version, o.raw_hash, '{}', '{}', 'parsed', 1, 1, 'x', 1, now()
     FROM content_objects o, generate_series(1, 20000) AS n WHERE o.tenant_id = $1 AND o.storage_key = 'offer'`,
    [demo],
  )
  await tier.db.systemSql.query(
    `INSERT INTO content_search (tenant_id, storage_key, search_vector, trigram_text)
     SELECT $1, 'bulk/' || n, to_tsvector('simple', 'common word' || n), 'subject ' || n FROM generate_series(1, 20000) AS n`,
    [demo],
  )
  await tier.db.systemSql.query('ANALYZE content_search')
  const client = new pg.Client(tier.database.url)
  await client.connect()
  await client.query('BEGIN')
  await client.query("SELECT set_config('app.current_tenant_id', $1, true)", [demo])
  for (const [words, key] of [
    ['word777', 'bulk/777'],
    ['subject 12345', 'bulk/12345'],
  ]) {
    const { rows } = await client.query('SELECT storage_key FROM search_content($1, NULL, NULL, 9)', [words])
    expect(rows).toContainEqual({ storage_key: key })
  }
  const { rows } = await client.query(
    "SELECT seq_scan::int AS scans FROM pg_stat_xact_user_tables WHERE relname = 'content_search'",
  )
  await client.end()
  expect(rows).toEqual([{ scans: 0 }])
})
