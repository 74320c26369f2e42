import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { withPool } from './smallPools.ts'
import { INSERT_TEMPLATE, openTestDatabase, type TestDatabase } from './twoTenants.ts'
import { openWireTap } from './wireTap.ts'

let db: TestDatabase
let ours: string
let theirs: string

beforeAll(async () => {
  db = await openTestDatabase(2)
  ;[ours, theirs] = db.tenantIds
})
afterAll(() => db.close())

describe('a statement', () => {
  test('takes one round trip, its tenant included, and a transaction one more for each of BEGIN and COMMIT', async () => {
    const tap = await openWireTap(db.urls.url)
    await withPool(
      db,
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
    await runAsTenant(ours, () => db.tenantSql.query(INSERT_TEMPLATE, [ours, id, 'mine']))
    const find = () => db.tenantSql.query('SELECT tenant_id FROM templates WHERE id = $1', [id])
    expect((await runAsTenant(ours, find)).rows).toEqual([{ tenant_id: ours }])
    expect((await runAsTenant(theirs, find)).rows).toEqual([])
  })

  test('cannot write a row of another tenant, nor move one there', async () => {
    const id = uuidv7()
    await runAsTenant(ours, () => db.tenantSql.query(INSERT_TEMPLATE, [ours, id, 'mine']))
    const steal = runAsTenant(ours, () => db.tenantSql.query(INSERT_TEMPLATE, [theirs, uuidv7(), 'planted']))
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
    await expect(ask('SELECT set_config($1, $2, false)', ['app.current_tenant_id', theirs])).rejects.toMatchObject(
      refused,
    )
    await expect(ask(`SET app.current_tenant_id = '${theirs}'`)).rejects.toMatchObject(refused)
    await expect(ask("SELECT current_setting('app.current_tenant_id') AS own")).resolves.toMatchObject({
      rows: [{ own: ours }],
    })
    await expect(ask('BEGIN')).rejects.toMatchObject(refused)
    await expect(ask('SELECT 1', [], () => {})).rejects.toMatchObject(refused)
    await expect(ask('SELECT 1', () => {})).rejects.toMatchObject(refused)
    await expect(ask(new pg.Query('SELECT 1'))).rejects.toMatchObject(refused)
    await expect(runAsTenant(ours, async () => pool.connect(() => {}))).rejects.toMatchObject(refused)
    await expect(ask('SELECT 1; COMMIT; SELECT 2')).rejects.toMatchObject({ code: '42601' })
    await expect(ask('COPY templates FROM STDIN')).rejects.toThrow(/COPY/)
  })
})
