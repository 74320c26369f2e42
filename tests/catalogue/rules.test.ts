import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { RULES } from './catalogue.ts'
import { PLANTED } from './plantedViolations.ts'
import { findOffenders } from './rules/rule.ts'
import { openTierCatalogue, type TierCatalogue } from './tierCatalogue.ts'

let database: TierCatalogue
beforeAll(async () => {
  database = await openTierCatalogue('oltp')
})
afterAll(() => database?.drop())

test('every rule of the catalogue has its planted violations', () => {
  expect(RULES.map(({ name }) => name)).toEqual(Object.keys(PLANTED))
})

test.each(RULES)('a violation is reported of: $name', async (rule) => {
  const { admin } = database
  for (const { sql, offender } of PLANTED[rule.name] ?? []) {
    await admin.query('BEGIN')
    try {
      await admin.query(sql)
      expect({ sql, offenders: await findOffenders(admin, rule) }).toEqual({
        sql,
        offenders: expect.arrayContaining([offender]),
      })
    } finally {
      await admin.query('ROLLBACK')
    }
  }
})
