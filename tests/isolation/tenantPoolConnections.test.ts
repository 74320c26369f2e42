import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { v7 as uuidv7 } from 'uuid'
import { nameStatement, STATEMENTS_PER_CONNECTION } from '#platform/database/statementNames.ts'
import type { TenantPool } from '#platform/database/tenantPool.ts'
import { currentTenant, runAsTenant } from '#platform/database/tenantScope.ts'
import { eventually } from '../support/eventually.ts'
import { backendOf, inspect, residueOf, sleepIn, terminateAsleep, withPool } from './smallPools.ts'
import { INSERT_TEMPLATE, openTestDatabase, type TestDatabase } from './twoTenants.ts'

let db: TestDatabase
let ours: string

beforeAll(async () => {
  db = await openTestDatabase(20)
  ;[ours] = db.tenantIds
})
afterAll(() => db.close())

describe('a pooled connection', () => {
  test('keeps nothing of a tenant: after success, failure, commit and rollback', async () => {
    await withPool(db, async (pool) => {
      const as = <R>(work: () => Promise<R>) => runAsTenant(ours, work).catch(() => {})
      for (const use of [
        () => pool.query('SELECT 1'),
        () => pool.query('SELECT 1/0'),
        () => pool.query('SELECT no_such_column'),
        () => pool.transaction((tx) => tx.query('SELECT 1')),
        () => pool.transaction((tx) => tx.query('SELECT 1/0')),
      ]) {
        await as(use)
        expect(await residueOf(pool)).toBeNull()
      }
    })
  })

  test('survives an SQL error, and the corrected statement works under the same name', async () => {
    await withPool(db, async (pool) => {
      const before = await backendOf(pool)
      await runAsTenant(ours, async () => {
        const query = { name: 'same', text: 'SELECT id FROM templates_not_yet' }
        await expect(pool.query(query)).rejects.toMatchObject({ code: '42P01' })
        await expect(pool.query({ ...query, text: 'SELECT id FROM templates WHERE false' })).resolves.toMatchObject({
          rows: [],
        })
        await expect(pool.query({ name: 'late', text: 'SELECT 1/$1::int', values: [0] })).rejects.toMatchObject({
          code: '22012',
        })
        await expect(pool.query({ name: 'late', text: 'SELECT 1/$1::int', values: [1] })).resolves.toBeDefined()
      })
      expect(await backendOf(pool)).toBe(before)
    })
  })

  test('that comes back with an open transaction is closed', async () => {
    await withPool(db, async (pool) => {
      const before = await backendOf(pool)
      await runAsTenant(ours, () => pool.query('/* sly */ BEGIN'))
      expect(await backendOf(pool)).not.toBe(before)
      await runAsTenant(ours, async () => {
        const connection = await pool.connect()
        await connection.query('BEGIN')
        connection.release()
        expect(() => connection.release()).toThrow('already released')
        await expect(connection.query('SELECT 1')).rejects.toThrow('already released')
      })
      expect(await residueOf(pool)).toBeNull()
    })
  })

  test('runs in UTC, with its statement timeout', async () => {
    const { rows } = await runAsTenant(ours, () => db.tenantSql.query('SHOW TimeZone'))
    expect(rows).toEqual([{ TimeZone: 'UTC' }])
    await withPool(
      db,
      async (pool) => {
        const slow = runAsTenant(ours, () => pool.query('SELECT pg_sleep(5)'))
        await expect(slow).rejects.toMatchObject({ code: '57014' })
      },
      { statement_timeout: 50 },
    )
  })

  test('holds a bounded number of prepared statements, and none where names are switched off', async () => {
    const count = 'SELECT count(*)::int AS n FROM pg_prepared_statements'
    const askMany = (pool: TenantPool) =>
      runAsTenant(ours, async () => {
        for (let n = 0; n < STATEMENTS_PER_CONNECTION + 50; n++) {
          const text = `SELECT ${n % (STATEMENTS_PER_CONNECTION + 20)} AS n`
          const { rows } = await pool.query({ name: nameStatement({ sql: text }), text })
          expect(rows).toEqual([{ n: n % (STATEMENTS_PER_CONNECTION + 20) }])
        }
      })
    await withPool(db, async (pool) => {
      await askMany(pool)
      // And the tenant's setting.
      expect((await inspect(pool, count)).n).toBe(STATEMENTS_PER_CONNECTION + 1)
    })
    await withPool(
      db,
      async (pool) => {
        await askMany(pool)
        expect((await inspect(pool, count)).n).toBe(0)
      },
      { unnamedStatements: true },
    )
  })

  test('serves any tenant right after another: 2000 statements of 20 tenants over 4 connections', async () => {
    await withPool(
      db,
      async (pool) => {
        await Promise.all(
          db.tenantIds.map((id) => runAsTenant(id, () => pool.query(INSERT_TEMPLATE, [id, id, 'hammer']))),
        )
        const wrong: string[] = []
        await Promise.all(
          Array.from({ length: 2000 }, (_, n) => {
            const tenantId = db.tenantIds[n % db.tenantIds.length] as string
            return runAsTenant(tenantId, async () => {
              if (n % 7 === 0) await pool.query('SELECT 1/0').catch(() => {})
              const { rows } = await pool.query("SELECT tenant_id FROM templates WHERE name = 'hammer'")
              if (rows.length !== 1 || rows[0]?.tenant_id !== tenantId || currentTenant() !== tenantId)
                wrong.push(tenantId)
            })
          }),
        )
        expect(wrong).toEqual([])
      },
      { max: 4 },
    )
  })
})

describe('a lost connection', () => {
  test('is made good for a read, and told for a write', async () => {
    await withPool(db, async (pool) => {
      const interrupt = async (textOf: (sleep: string) => string) => {
        const pid = await backendOf(pool)
        const asked = runAsTenant(ours, () => pool.query(textOf(sleepIn(pid))))
        asked.catch(() => {})
        await terminateAsleep(db, pid)
        return asked
      }
      expect((await interrupt((sleep) => `SELECT ${sleep}, 7 AS answer`)).rows[0]?.answer).toBe(7)
      await expect(
        interrupt((sleep) => `WITH slow AS (SELECT ${sleep}) UPDATE templates SET name = name FROM slow`),
      ).rejects.toMatchObject({ code: '57P01' })
      await expect(runAsTenant(ours, () => pool.query('SELECT 1'))).resolves.toBeDefined()
    })
  })

  test('while idle is not noticed by the next statement', async () => {
    await withPool(db, async (pool) => {
      await db.asAdmin('SELECT pg_terminate_backend($1)', [await backendOf(pool)])
      const id = uuidv7()
      await eventually(
        async () => pool.totalCount,
        (connections) => connections === 0,
      )
      await runAsTenant(ours, () => pool.query(INSERT_TEMPLATE, [ours, id, 'after']))
      expect(await db.system.template.count({ where: { id } })).toBe(1)
    })
  })
})
