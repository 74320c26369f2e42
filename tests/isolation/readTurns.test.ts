import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { v7 as uuidv7 } from 'uuid'
import type { TenantPool } from '#platform/database/tenantPool.ts'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { backendOf, residueOf, sleepIn, terminateAsleep, withPool } from './smallPools.ts'
import { INSERT_TEMPLATE, openTestDatabase, type TestDatabase } from './twoTenants.ts'
import { openWireTap } from './wireTap.ts'

// Reads of many requests, and so of many tenants, travel together over one connection.

let db: TestDatabase

beforeAll(async () => {
  db = await openTestDatabase(20)
  for (const [n, tenantId] of db.tenantIds.entries()) {
    await runAsTenant(tenantId, () => db.tenantSql.query(INSERT_TEMPLATE, [tenantId, uuidv7(), `of tenant ${n}`]))
  }
})
afterAll(() => db.close())

const NAMES = 'SELECT name, pg_backend_pid() AS backend FROM templates'
const as = <Result>(n: number, work: () => Promise<Result>) => runAsTenant(db.tenantIds[n] as string, work)
const readAs = (pool: TenantPool, n: number, text = NAMES, values?: unknown[]) => as(n, () => pool.read(text, values))

describe('reads asked for at the same moment', () => {
  test('see each its own tenant’s rows, all of them through one connection', async () => {
    await withPool(db, async (pool) => {
      const answers = await Promise.all(db.tenantIds.map((_id, n) => readAs(pool, n)))
      const backend = answers[0]?.rows[0]?.backend
      expect(answers.map(({ rows }) => rows)).toEqual(
        db.tenantIds.map((_id, n) => [{ name: `of tenant ${n}`, backend }]),
      )
      expect(await residueOf(pool)).toBeNull()
    })
  })

  test('see their tenants’ rows whatever else goes on: statements, transactions and errors between them', async () => {
    const kinds = fc.constantFrom('read', 'named', 'query', 'transaction', 'error', 'unsendable', 'later')
    const step = fc.record({ tenant: fc.nat({ max: 19 }), kind: kinds })
    await withPool(
      db,
      async (pool) => {
        const run = (n: number, kind: string): Promise<{ rows: unknown[] }> => {
          const read = () => pool.read('SELECT name FROM templates')
          if (kind === 'named') return as(n, () => pool.read({ name: 'names', text: 'SELECT name FROM templates' }))
          if (kind === 'query') return as(n, () => pool.query('SELECT name FROM templates'))
          if (kind === 'transaction')
            return as(n, () => pool.transaction((tx) => tx.query('SELECT name FROM templates')))
          if (kind === 'error') return as(n, () => pool.read('SELECT 1/0').then(read, read))
          if (kind === 'unsendable') return as(n, () => pool.read('SELECT $1::text', [UNSENDABLE]).then(read, read))
          if (kind === 'later') return as(n, () => new Promise(setImmediate).then(read))
          return as(n, read)
        }
        const property = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
          const answers = await Promise.all(steps.map(({ tenant, kind }) => run(tenant, kind)))
          expect(answers.map(({ rows }) => rows)).toEqual(steps.map(({ tenant }) => [{ name: `of tenant ${tenant}` }]))
        })
        await fc.assert(property, { numRuns: 60 })
        expect(await residueOf(pool)).toBeNull()
      },
      { max: 3 },
    )
  })

  test('are one round trip each, and one of them that fails is nothing to the others', async () => {
    const tap = await openWireTap(db.urls.url)
    await withPool(
      db,
      async (pool) => {
        await readAs(pool, 0)
        const before = tap.roundTrips()
        const texts = [NAMES, 'SELECT 1/0', NAMES, 'SELECT no_such_column FROM templates', NAMES]
        const settled = await Promise.allSettled(texts.map((text, n) => readAs(pool, n, text)))
        expect(settled.map(({ status }) => status)).toEqual([
          'fulfilled',
          'rejected',
          'fulfilled',
          'rejected',
          'fulfilled',
        ])
        expect(settled.flatMap((one) => (one.status === 'fulfilled' ? one.value.rows[0]?.name : []))).toEqual([
          'of tenant 0',
          'of tenant 2',
          'of tenant 4',
        ])
        expect(tap.roundTrips() - before).toBe(texts.length)
      },
      { connectionString: tap.url },
    )
    await tap.close()
  })

  test('answer beside one whose value cannot be sent, and leave a connection that can be used', async () => {
    await withPool(db, async (pool) => {
      const settled = await Promise.allSettled([
        readAs(pool, 0, 'SELECT $1::text AS value', [UNSENDABLE]),
        readAs(pool, 1),
        readAs(pool, 2, 'SELECT $1::int', ['no number']),
        readAs(pool, 3),
      ])
      expect(settled.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected', 'fulfilled'])
      expect((await readAs(pool, 4)).rows[0]?.name).toBe('of tenant 4')
      expect(await residueOf(pool)).toBeNull()
    })
  })

  test('are asked again when their connection is lost', async () => {
    await withPool(db, async (pool) => {
      const pid = await backendOf(pool)
      const reads = Promise.all([0, 1, 2, 3].map((n) => readAs(pool, n, `SELECT name FROM templates, ${sleepIn(pid)}`)))
      await terminateAsleep(db, pid)
      expect((await reads).map(({ rows }) => rows[0]?.name)).toEqual([0, 1, 2, 3].map((n) => `of tenant ${n}`))
    })
  })

  test('wait for a connection as all else does, and fail when none comes free', async () => {
    await withPool(
      db,
      async (pool) => {
        let release = () => {}
        const released = new Promise<void>((resolve) => {
          release = resolve
        })
        const held = as(0, () => pool.transaction(() => released))
        await expect(readAs(pool, 1)).rejects.toThrow('timeout exceeded')
        release()
        await held
        expect((await readAs(pool, 1)).rows[0]?.name).toBe('of tenant 1')
      },
      // Connecting for the first time must not take so long.
      { connectionTimeoutMillis: 3_000 },
    )
  })
})

describe('refused is', () => {
  test.each([
    ['a write', "UPDATE templates SET name = 'x'"],
    ['a row lock', 'SELECT name FROM templates FOR UPDATE'],
    ['another row lock', 'SELECT name FROM templates FOR NO KEY UPDATE SKIP LOCKED'],
    ['a shared row lock', 'select name from templates for share'],
    ['an advisory lock', 'SELECT pg_advisory_xact_lock(1)'],
    ['a setting of the tenant', "SELECT set_config('app.current_tenant_id', '', true)"],
  ])('%s', async (_what, text) => {
    await expect(readAs(db.tenantSql, 0, text)).rejects.toMatchObject({ code: 'INTERNAL' })
  })

  test('a read without a tenant', async () => {
    await expect(db.tenantSql.read('SELECT 1')).rejects.toThrow('no tenant in scope')
  })
})

/** Its text is asked for, and there is none. */
const UNSENDABLE = {
  toPostgres() {
    throw new Error('cannot be sent')
  },
}
