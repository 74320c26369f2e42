import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { PrismaPg } from '@prisma/adapter-pg'
import fc from 'fast-check'
import pg from 'pg'
import { openTierDatabase, type TierDatabase } from '#platform/database/tierDatabase.ts'
import { PrismaClient } from '#prisma/oltp'
import { type Program, program } from './tenantModel/commands.ts'
import { PLANTED_LEAKS } from './tenantModel/plantedLeaks.ts'
import { findViolations, type Subject, seedRows } from './tenantModel/runner.ts'
import { openTestDatabase, type TestDatabase } from './twoTenants.ts'

const MOST_TENANTS = 5
const POOL_SIZES = [1, 2, 3]
const PROGRAMS = 150
/** On a busy machine fewer programs run rather than none being judged. */
const TIME_LIMIT_MS = 60_000
const FEWEST_PROGRAMS = 30

let db: TestDatabase
/** Small pools, so that tenants meet on the same connections. */
let pools: Map<number, TierDatabase<PrismaClient>>

beforeAll(async () => {
  db = await openTestDatabase(MOST_TENANTS)
  const open = (poolSize: number) => openTierDatabase({ ...db.urls, poolSize }, PrismaClient)
  pools = new Map(POOL_SIZES.map((size) => [size, open(size)]))
})
afterAll(async () => {
  await Promise.all([...pools.values()].map((pool) => pool.close()))
  await db.close()
})

function soundSubject({ poolSize }: Program): Subject {
  const pool = pools.get(poolSize) as TierDatabase<PrismaClient>
  return { prisma: pool.tenant, sql: pool.tenantSql }
}

/** Checks random programs; answers fast-check's report. */
function check(subjectOf: (program: Program) => Subject, numRuns: number, endOnFailure = false) {
  const property = fc.asyncProperty(program, async (drawn) => {
    await db.system.template.deleteMany()
    await db.system.template.createMany({ data: seedRows(drawn, db.tenantIds) })
    const violations = await findViolations(drawn, subjectOf(drawn), db.tenantIds)
    if (violations.length > 0) throw new Error(JSON.stringify(violations))
  })
  return fc.check(property, { numRuns, endOnFailure, interruptAfterTimeLimit: TIME_LIMIT_MS })
}

describe('random statements of random tenants at once over a small pool', () => {
  test('answer each tenant as if it were alone', async () => {
    const report = await check(soundSubject, PROGRAMS)
    expect(report.errorInstance ?? 'no leak').toBe('no leak')
    expect(report.numRuns).toBeGreaterThanOrEqual(report.interrupted ? FEWEST_PROGRAMS : PROGRAMS)
  }, 90_000)

  test.each(Object.keys(PLANTED_LEAKS))(
    'are caught out when %s',
    async (name) => {
      const leaks: { pool: pg.Pool; plain: PrismaClient }[] = []
      const makeLeak = (size: number) => {
        const pool = new pg.Pool({ connectionString: db.urls.url, max: size })
        const plain = new PrismaClient({ adapter: new PrismaPg(pools.get(size)?.tenantSql as unknown as pg.Pool) })
        leaks.push({ pool, plain })
        return { pool, plain }
      }
      const bySize = new Map(POOL_SIZES.map((size) => [size, makeLeak(size)]))
      const report = await check(
        (drawn) => {
          const { pool, plain } = bySize.get(drawn.poolSize) as (typeof leaks)[number]
          return (PLANTED_LEAKS[name] as (typeof PLANTED_LEAKS)[string])(soundSubject(drawn), pool, plain)
        },
        2 * PROGRAMS,
        true,
      )
      await Promise.all(leaks.map(({ pool }) => pool.end()))
      expect(report.failed && !report.interrupted).toBe(true)
    },
    90_000,
  )
})
