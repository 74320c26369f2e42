import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { nameStatement, STATEMENTS_PER_CONNECTION } from '#platform/database/statementNames.ts'
import { TenantPool } from '#platform/database/tenantPool.ts'
import { currentTenant, runAsTenant } from '#platform/database/tenantScope.ts'
import { openTestDatabase, type TestDatabase } from './twoTenants.ts'
import { openWireTap } from './wireTap.ts'

let db: TestDatabase
let ours: string
let theirs: string

beforeAll(async () => {
  db = await openTestDatabase(20)
  ;[ours, theirs] = db.tenantIds
})
afterAll(() => db.close())

const INSERT = 'INSERT INTO templates (tenant_id, id, name, subject) VALUES ($1, $2, $3, $3)'

async function withPool<Result>(
  work: (pool: TenantPool) => Promise<Result>,
  options: ConstructorParameters<typeof TenantPool>[0] = {},
): Promise<Result> {
  const pool = new TenantPool({ connectionString: db.urls.url, max: 1, ...options })
  try {
    return await work(pool)
  } finally {
    await pool.end()
  }
}

/** Looks at a pooled connection as the next user would find it. */
async function inspect(pool: TenantPool, sql: string): Promise<pg.QueryResultRow> {
  const connect = pg.Pool.prototype.connect as unknown as () => Promise<pg.PoolClient>
  const client = await connect.call(pool)
  try {
    return (await client.query(sql)).rows[0]
  } finally {
    client.release()
  }
}

const residueOf = async (pool: TenantPool) =>
  (await inspect(pool, "SELECT current_setting('app.current_tenant_id', true) AS tenant")).tenant || null
const backendOf = async (pool: TenantPool) => (await inspect(pool, 'SELECT pg_backend_pid() AS pid')).pid as number

async function terminate(pid: number): Promise<void> {
  await db.asAdmin('SELECT pg_terminate_backend($1)', [pid])
}

describe('a statement', () => {
  test('takes one round trip, its tenant included, and a transaction one more for each of BEGIN and COMMIT', async () => {
    const tap = await openWireTap(db.urls.url)
    await withPool(
      (pool) =>
        runAsTenant(ours, async () => {
          await pool.query('SELECT 1')
          const before = tap.roundTrips()
          await pool.query('SELECT id FROM templates WHERE name = $1', ['x'])
          expect(tap.roundTrips() - before).toBe(1)
          await pool.transaction((tx) => tx.query('SELECT id FROM templates'))
          expect(tap.roundTrips() - before).toBe(4)
        }),
      { connectionString: tap.url },
    )
    await tap.close()
  })

  test('sees its tenant and no other, in the policy and in the setting', async () => {
    const id = uuidv7()
    await runAsTenant(ours, () => db.tenantSql.query(INSERT, [ours, id, 'mine']))
    const find = () => db.tenantSql.query('SELECT tenant_id FROM templates WHERE id = $1', [id])
    expect((await runAsTenant(ours, find)).rows).toEqual([{ tenant_id: ours }])
    expect((await runAsTenant(theirs, find)).rows).toEqual([])
  })

  test('cannot write a row of another tenant, nor move one there', async () => {
    const id = uuidv7()
    await runAsTenant(ours, () => db.tenantSql.query(INSERT, [ours, id, 'mine']))
    const steal = runAsTenant(ours, () => db.tenantSql.query(INSERT, [theirs, uuidv7(), 'planted']))
    await expect(steal).rejects.toMatchObject({ code: '42501' })
    const move = runAsTenant(ours, () =>
      db.tenantSql.query('UPDATE templates SET tenant_id = $1 WHERE id = $2', [theirs, id]),
    )
    await expect(move).rejects.toMatchObject({ code: '42501' })
  })

  test('without a tenant in scope is a loud error, whichever way it is asked', async () => {
    const loud = { code: 'INTERNAL', message: 'no tenant in scope' }
    await expect(db.tenantSql.query('SELECT 1')).rejects.toMatchObject(loud)
    await expect(db.tenantSql.connect()).rejects.toMatchObject(loud)
    await expect(db.tenantSql.transaction(async () => {})).rejects.toMatchObject(loud)
    await expect((async () => db.tenant.template.count())()).rejects.toMatchObject(loud)
    await expect((async () => db.tenant.$queryRaw`SELECT 1`)()).rejects.toMatchObject({
      message: expect.stringContaining(loud.message),
    })
  })

  test.each(["' OR true --", '', 'not-a-uuid', `${'0'.repeat(8)}-0000-0000-0000-${'0'.repeat(12)}'; DROP TABLE x`])(
    'never runs for the malformed tenant id %j',
    async (tenantId) => {
      const work = () => db.tenantSql.query('SELECT 1')
      await expect(runAsTenant(tenantId, work)).rejects.toMatchObject({ code: 'INTERNAL' })
    },
  )

  test('that would outlive or change its tenant is refused', async () => {
    const refused = { code: 'INTERNAL' }
    const pool = db.tenantSql as unknown as {
      query(...args: unknown[]): Promise<unknown>
      connect(cb: unknown): unknown
    }
    const ask = (...args: unknown[]) => runAsTenant(ours, () => pool.query(...args))
    await expect(ask("SELECT set_config('app.current_tenant_id', $1, false)", [theirs])).rejects.toMatchObject(refused)
    await expect(ask('BEGIN')).rejects.toMatchObject(refused)
    await expect(ask('SELECT 1', [], () => {})).rejects.toMatchObject(refused)
    await expect(ask('SELECT 1', () => {})).rejects.toMatchObject(refused)
    await expect(ask(new pg.Query('SELECT 1'))).rejects.toMatchObject(refused)
    await expect(runAsTenant(ours, async () => pool.connect(() => {}))).rejects.toMatchObject(refused)
    await expect(ask('SELECT 1; COMMIT; SELECT 2')).rejects.toMatchObject({ code: '42601' })
    await expect(ask('COPY templates FROM STDIN')).rejects.toThrow(/COPY/)
  })
})

describe('a pooled connection', () => {
  test('keeps nothing of a tenant: after success, failure, commit and rollback', async () => {
    await withPool(async (pool) => {
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
    await withPool(async (pool) => {
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
    await withPool(async (pool) => {
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
    await withPool(async (pool) => {
      await askMany(pool)
      expect((await inspect(pool, count)).n).toBeLessThanOrEqual(STATEMENTS_PER_CONNECTION)
    })
    await withPool(
      async (pool) => {
        await askMany(pool)
        expect((await inspect(pool, count)).n).toBe(0)
      },
      { unnamedStatements: true },
    )
  })

  test('serves any tenant right after another: 2000 statements of 20 tenants over 4 connections', async () => {
    await withPool(
      async (pool) => {
        await Promise.all(db.tenantIds.map((id) => runAsTenant(id, () => pool.query(INSERT, [id, id, 'hammer']))))
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

describe('a transaction', () => {
  test('belongs to its tenant at every isolation level, and is undone by an error', async () => {
    for (const isolation of ['read committed', 'repeatable read', 'serializable'] as const) {
      const id = uuidv7()
      const failed = runAsTenant(ours, () =>
        db.tenantSql.transaction(
          async (tx) => {
            await tx.query(INSERT, [ours, id, 'undone'])
            const { rows } = await tx.query('SELECT DISTINCT tenant_id FROM templates')
            expect(rows).toEqual([{ tenant_id: ours }])
            const level = await tx.query('SHOW transaction_isolation')
            expect(level.rows).toEqual([{ transaction_isolation: isolation }])
            throw new Error('changed my mind')
          },
          { isolation },
        ),
      )
      await expect(failed).rejects.toThrow('changed my mind')
      expect(await db.system.template.count({ where: { id } })).toBe(0)
    }
  })

  test('refuses another tenant inside it', async () => {
    const mixed = runAsTenant(ours, () =>
      db.tenantSql.transaction((tx) => runAsTenant(theirs, () => tx.query('SELECT 1'))),
    )
    await expect(mixed).rejects.toThrow('belongs to the tenant that began it')
  })

  test('keeps its tenant through savepoints', async () => {
    await runAsTenant(ours, () =>
      db.tenantSql.transaction(async (tx) => {
        await tx.query('SAVEPOINT before')
        await expect(tx.query('SELECT 1/0')).rejects.toMatchObject({ code: '22012' })
        await tx.query('ROLLBACK TO SAVEPOINT before')
        await expect(tx.query('SELECT count(*) FROM templates')).resolves.toBeDefined()
      }),
    )
  })

  test('runs again after a serialization failure if told so, and gives up otherwise', async () => {
    const id = uuidv7()
    await runAsTenant(ours, () => db.tenantSql.query(INSERT, [ours, id, '0']))
    const increment = (retries: number) =>
      runAsTenant(ours, () =>
        db.tenantSql.transaction(
          async (tx) => {
            const { rows } = await tx.query('SELECT name FROM templates WHERE id = $1', [id])
            await tx.query('SELECT pg_sleep(0.05)')
            await tx.query('UPDATE templates SET name = $1 WHERE id = $2', [String(Number(rows[0]?.name) + 1), id])
          },
          { isolation: 'repeatable read', retries },
        ),
      )
    await Promise.all([increment(9), increment(9), increment(9)])
    const { rows } = await runAsTenant(ours, () => db.tenantSql.query('SELECT name FROM templates WHERE id = $1', [id]))
    expect(rows).toEqual([{ name: '3' }])
    const outcomes = await Promise.allSettled([increment(0), increment(0)])
    expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(1)
  })
})

describe('a lost connection', () => {
  test('is made good for a read, and told for a write', async () => {
    await withPool(async (pool) => {
      const interrupt = async (text: string) => {
        const pid = await backendOf(pool)
        const asked = runAsTenant(ours, () => pool.query(text))
        asked.catch(() => {})
        await new Promise((resolve) => setTimeout(resolve, 60))
        await terminate(pid)
        return asked
      }
      expect((await interrupt('SELECT pg_sleep(0.2), 7 AS answer')).rows[0]?.answer).toBe(7)
      await expect(
        interrupt('WITH slow AS (SELECT pg_sleep(0.2)) UPDATE templates SET name = name FROM slow'),
      ).rejects.toMatchObject({ code: '57P01' })
      await expect(runAsTenant(ours, () => pool.query('SELECT 1'))).resolves.toBeDefined()
    })
  })

  test('while idle is not noticed by the next statement', async () => {
    await withPool(async (pool) => {
      await terminate(await backendOf(pool))
      const id = uuidv7()
      await new Promise((resolve) => setTimeout(resolve, 100))
      await runAsTenant(ours, () => pool.query(INSERT, [ours, id, 'after']))
      expect(await db.system.template.count({ where: { id } })).toBe(1)
    })
  })
})
