import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { v7 as uuidv7 } from 'uuid'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { INSERT_TEMPLATE, openTestDatabase, type TestDatabase } from './twoTenants.ts'

let db: TestDatabase
let ours: string
let theirs: string

beforeAll(async () => {
  db = await openTestDatabase(2)
  ;[ours, theirs] = db.tenantIds
})
afterAll(() => db.close())

describe('a transaction', () => {
  test('belongs to its tenant at every isolation level, and is undone by an error', async () => {
    for (const isolation of ['read committed', 'repeatable read', 'serializable'] as const) {
      const id = uuidv7()
      const failed = runAsTenant(ours, () =>
        db.tenantSql.transaction(
          async (tx) => {
            await tx.query(INSERT_TEMPLATE, [ours, id, 'undone'])
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
    await runAsTenant(ours, () => db.tenantSql.query(INSERT_TEMPLATE, [ours, id, '0']))
    const increment = (retries: number, meet: () => Promise<void>) =>
      runAsTenant(ours, () =>
        db.tenantSql.transaction(
          async (tx) => {
            const { rows } = await tx.query('SELECT name FROM templates WHERE id = $1', [id])
            await meet()
            await tx.query('UPDATE templates SET name = $1 WHERE id = $2', [String(Number(rows[0]?.name) + 1), id])
          },
          { isolation: 'repeatable read', retries },
        ),
      )
    const three = meetingOf(3)
    await Promise.all([increment(9, three), increment(9, three), increment(9, three)])
    const { rows } = await runAsTenant(ours, () => db.tenantSql.query('SELECT name FROM templates WHERE id = $1', [id]))
    expect(rows).toEqual([{ name: '3' }])
    const two = meetingOf(2)
    const outcomes = await Promise.allSettled([increment(0, two), increment(0, two)])
    expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(1)
  })
})

/** Where each waits until so many have come; whoever comes later goes on at once. */
function meetingOf(size: number): () => Promise<void> {
  let missing = size
  let begin = () => {}
  const begun = new Promise<void>((resolve) => {
    begin = resolve
  })
  return () => {
    missing -= 1
    if (missing === 0) begin()
    return begun
  }
}
