import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { readInstant, readPlainTexts } from '#platform/database/prismaTypes.ts'
import { STATEMENTS_PER_CONNECTION } from '#platform/database/statementNames.ts'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { openTestDatabase, type TestDatabase } from './twoTenants.ts'

let db: TestDatabase
let tenant: string

beforeAll(async () => {
  // One connection, so that each statement meets what the last one left there.
  db = await openTestDatabase(1, { poolSize: 1 })
  tenant = db.tenantIds[0]
})
afterAll(() => db.close())

const query = (statement: pg.QueryConfig & { rowMode?: string }) =>
  runAsTenant(tenant, () => db.tenantSql.query(statement))

describe('a prepared statement, described once per connection,', () => {
  test('answers with the same columns every time', async () => {
    const statement = { name: 'columns', text: `SELECT $1::text AS a, 2 AS b, '{x}'::text[] AS c` }
    const first = await query({ ...statement, values: ['one'] })
    const second = await query({ ...statement, values: ['two'] })
    expect(first.rows).toEqual([{ a: 'one', b: 2, c: ['x'] }])
    expect(second.rows).toEqual([{ a: 'two', b: 2, c: ['x'] }])
    expect(second.fields).toEqual(first.fields)
  })

  test('answers as objects and as arrays by turns', async () => {
    const statement = { name: 'modes', text: 'SELECT 1 AS a' }
    const answers = []
    for (const rowMode of [undefined, 'array', undefined, 'array']) answers.push(await query({ ...statement, rowMode }))
    expect(answers.map(({ rows }) => rows[0])).toEqual([{ a: 1 }, [1], { a: 1 }, [1]])
  })

  test('has no rows and no columns when it returns none', async () => {
    const statement = { name: 'none', text: 'DELETE FROM templates WHERE tenant_id = $1', values: [tenant] }
    for (let n = 0; n < 3; n++) expect(await query(statement)).toMatchObject({ rows: [], fields: [], rowCount: 0 })
  })

  test('is described anew after an error, and after it made room for others', async () => {
    const statement = { name: 'divide', text: 'SELECT 10 / $1::int AS ratio' }
    await expect(query({ ...statement, values: [0] })).rejects.toThrow('division by zero')
    expect((await query({ ...statement, values: [5] })).rows).toEqual([{ ratio: 2 }])
    for (let n = 0; n <= STATEMENTS_PER_CONNECTION; n++) await query({ name: `other_${n}`, text: `SELECT ${n} AS n` })
    expect((await query({ ...statement, values: [2] })).rows).toEqual([{ ratio: 5 }])
  })

  test('makes room for others without breaking its connection: the setting of the tenant stays prepared', async () => {
    const connection = async () => (await query({ text: 'SELECT pg_backend_pid() AS pid' })).rows
    const before = await connection()
    for (let n = 0; n <= STATEMENTS_PER_CONNECTION; n++) await query({ name: `more_${n}`, text: `SELECT ${n} AS n` })
    expect(await connection()).toEqual(before)
  })

  test('gives the new columns after its table has changed', async () => {
    const owner = new pg.Client(db.urls.ownerUrl)
    await owner.connect()
    try {
      await owner.query(`
        CREATE TABLE changing (tenant_id uuid, a int);
        SELECT make_tenant_table('changing');
        INSERT INTO changing VALUES ('${tenant}', 1)`)
      const statement = { name: 'changing', text: 'SELECT * FROM changing' }
      await query(statement)
      await owner.query('ALTER TABLE changing ADD COLUMN b int DEFAULT 2')
      expect((await query(statement)).rows).toEqual([{ tenant_id: tenant, a: 1, b: 2 }])
      await owner.query('ALTER TABLE changing RENAME COLUMN b TO c')
      expect((await query(statement)).rows).toEqual([{ tenant_id: tenant, a: 1, c: 2 }])
    } finally {
      await owner.query('DROP TABLE changing')
      await owner.end()
    }
  })
})

describe('the faster readers', () => {
  test.each([
    ['2026-11-22 11:46:11.329+00', Date.UTC(2026, 10, 22, 11, 46, 11, 329)],
    ['0001-01-01 00:00:00+00', Date.parse('0001-01-01T00:00:00Z')],
    ['1969-12-31 23:59:59.5+00', -500],
    ['10000-01-01 00:00:00+00', null],
    ['0044-03-15 00:00:00+00 BC', null],
    ['2026-11-22 11:46:11+02', null],
    ['infinity', null],
  ])('read the instant %s or leave it', (text, milliseconds) => {
    expect(readInstant(text)).toBe(milliseconds)
  })

  test.each([
    ['{}', []],
    ['{a}', ['a']],
    ['{a,b c,ü}', ['a', 'b c', 'ü']],
    ['{"a,b"}', null],
    ['{""}', null],
    ['{a,NULL}', null],
    ['{{a},{b}}', null],
    ['[0:1]={a,b}', null],
    ['{a\\\\b}', null],
  ])('read the array %s or leave it', (text, items) => {
    expect(readPlainTexts(text)).toEqual(items)
  })

  test('leave nothing of a row behind or changed', async () => {
    const tags = ['plain', 'with space', 'with,comma', 'with"quote', 'with\\slash', '', 'null', '{brace}', 'ünï']
    const createdAt = new Date('2026-11-22T11:46:11.329Z')
    const write = (name: string, values: string[]) => ({
      tenantId: tenant,
      id: name,
      subject: 's',
      tags: values,
      createdAt,
    })
    const ids = ['01a20313-d7d4-76e0-afe5-f08592d48531', '01a20313-d7d4-76e0-afe5-f08592d48532']
    const rows = await runAsTenant(tenant, async () => {
      for (const [n, id] of ids.entries()) {
        await db.tenant.template.create({ data: { ...write(id, n ? ['one', 'two'] : tags), name: `read ${n}` } })
      }
      return db.tenant.template.findMany({ where: { id: { in: ids } }, orderBy: { id: 'asc' } })
    })
    expect(rows.map((row) => row.tags)).toEqual([tags, ['one', 'two']])
    expect(rows.map((row) => row.createdAt)).toEqual([createdAt, createdAt])
  })
})
