import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { migrateDown, migrationStatus } from '#platform/prisma/migrate.ts'
import { dropsData } from '#platform/prisma/sqlScript.ts'
import { createTierDatabase, type TierDatabase } from '../support/postgres.ts'

describe('undoing migrations', () => {
  let database: TierDatabase
  beforeAll(async () => {
    database = await createTierDatabase('queue')
  })
  afterAll(() => database?.drop())

  test('is refused whole where data would go, before anything is undone', async () => {
    const target = { tier: 'queue', url: database.ownerUrl } as const
    const before = await migrationStatus(target)
    await expect(migrateDown({ ...target, to: null, keepData: true })).rejects.toThrow(/--drop-data/)
    expect((await migrationStatus(target)).applied).toEqual(before.applied)
  })

  test('is done where nothing would be lost', async () => {
    const target = { tier: 'queue', url: database.ownerUrl, keepData: true } as const
    const [last] = (await migrationStatus(target)).applied.slice(-1)
    expect(await migrateDown(target)).toEqual([last?.name])
  })

  test.each([
    ['DROP TABLE jobs;', true],
    ['ALTER TABLE jobs DROP COLUMN payload;', true],
    ['TRUNCATE jobs;', true],
    ['DROP INDEX jobs_idx; ALTER TABLE jobs ADD COLUMN a int;', false],
    ["COMMENT ON TABLE jobs IS 'DROP TABLE jobs';", false],
  ])('%s loses data: %s', (script, loses) => {
    expect(dropsData(script)).toBe(loses)
  })
})
