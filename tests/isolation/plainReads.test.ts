import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { v7 as uuidv7 } from 'uuid'
import { type ModelFacts, readModels } from '#platform/database/dataModel.ts'
import { planRead } from '#platform/database/plainReads.ts'
import { isReadPlainly } from '#platform/database/plainTypes.ts'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { openTierDatabase } from '#platform/database/tierDatabase.ts'
import { PrismaClient as AnalyticsClient } from '#prisma/analytics'
import { PrismaClient as ContentClient } from '#prisma/content'
import { PrismaClient as OltpClient } from '#prisma/oltp'
import { PrismaClient as QueueClient } from '#prisma/queue'
import { createTierDatabase } from '../support/postgres.ts'
import { openTestDatabase, type TestDatabase } from './twoTenants.ts'

// What is read past Prisma must be what Prisma would have answered: Prisma itself, on the system role, is asked the same.

let db: TestDatabase
let lead: ModelFacts
let tenantId: string
const ids = Array.from({ length: 24 }, () => uuidv7())
const moments = [
  new Date('2026-03-01T00:00:00.000Z'),
  new Date('2026-03-01T00:00:00.001Z'),
  new Date('1969-12-31T23:59:59.999Z'),
]
const words = ['ada', 'Ada', "o'hara", 'zoë', '', '%', '{a,"b"}', 'null']

beforeAll(async () => {
  db = await openTestDatabase(2)
  tenantId = db.tenantIds[0]
  lead = readModels(db.system).get('lead') as ModelFacts
  const leads = ids.map((id, n) => ({
    id,
    email: `lead${n}@example.com`,
    status: 'new',
    name: n % 3 === 0 ? null : (words[n % words.length] as string),
    title: n % 4 === 0 ? null : (words[(n * 5) % words.length] as string),
    custom: { n, deep: { list: [1, null, 'x'] } },
    createdAt: moments[n % moments.length] as Date,
  }))
  for (const owner of db.tenantIds) {
    const own = leads.map((row) => ({ ...row, id: owner === tenantId ? row.id : uuidv7(), tenantId: owner }))
    await db.system.lead.createMany({ data: own })
  }
})
afterAll(() => db.close())

const word = fc.constantFrom(...words)
const moment = fc.constantFrom(...moments)
const id = fc.constantFrom(...ids, uuidv7())
const comparison = <Value>(value: fc.Arbitrary<Value>) =>
  fc.oneof(
    value,
    fc.record({ equals: value }),
    fc.record({ not: value }),
    fc.record({ in: fc.array(value, { maxLength: 4 }) }),
    fc.record({ notIn: fc.array(value, { maxLength: 4 }) }),
    fc.record({ gte: value, lt: value }, { requiredKeys: [] }),
    fc.record({ gt: value, lte: value }, { requiredKeys: [] }),
  )
const nullable = <Value>(value: fc.Arbitrary<Value>) =>
  fc.oneof(comparison(value), fc.constantFrom(null, { equals: null }, { not: null }, undefined))
const columnFilter = fc.oneof(
  fc.record({ id: comparison(id) }),
  fc.record({ name: nullable(word) }),
  fc.record({ title: nullable(word), createdAt: comparison(moment) }),
  fc.record({ createdAt: comparison(moment) }),
)
const { where } = fc.letrec<{ where: object }>((tie) => ({
  where: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    columnFilter,
    fc.record({ AND: fc.array(tie('where'), { maxLength: 3 }) }),
    fc.record({ OR: fc.array(tie('where'), { maxLength: 3 }) }),
    fc.record({ NOT: tie('where') }),
    fc.tuple(columnFilter, tie('where')).map(([own, other]) => ({ ...own, AND: other })),
  ),
}))
const direction = fc.constantFrom('asc', 'desc')
const order = fc.oneof(
  fc.record({ id: direction }),
  fc.record({ createdAt: direction }),
  fc.record({ name: fc.record({ sort: direction, nulls: fc.constantFrom('first', 'last') }) }),
  fc.record({ title: direction }),
)
const read = fc.record(
  {
    where,
    orderBy: fc.array(order, { maxLength: 3 }).chain((terms) => direction.map((last) => [...terms, { id: last }])),
    take: fc.nat(30),
    skip: fc.nat(5),
    select: fc.constantFrom({ id: true }, { id: true, custom: true, createdAt: true, name: false }),
  },
  { requiredKeys: ['where', 'orderBy'] },
)

// biome-ignore lint/suspicious/noExplicitAny: made-up arguments
type Made = any

describe('a plain read', () => {
  test('answers what Prisma answers, of its own tenant alone', async () => {
    let plain = 0
    await fc.assert(
      fc.asyncProperty(read, async (args: Made) => {
        const expected = await db.system.lead.findMany({ ...args, where: { ...args.where, tenantId } })
        const { result, statements } = await db.statements.during(() =>
          runAsTenant(tenantId, () => db.tenant.lead.findMany(args)),
        )
        expect(result).toStrictEqual(expected)
        const counted = await runAsTenant(tenantId, () => db.tenant.lead.count({ where: args.where }))
        expect(counted).toBe(await db.system.lead.count({ where: { ...args.where, tenantId } }))
        // Prisma's way names the schema; and what has nothing to look for, it does not ask.
        if (statements[0] && !statements[0].includes('"public".')) plain += 1
      }),
      { numRuns: 400 },
    )
    expect(plain).toBeGreaterThan(200)
  })

  test('of one row is its first, or null', async () => {
    const find = (args: Made) => runAsTenant(tenantId, () => db.tenant.lead.findFirst(args))
    expect(await find({ where: { id: ids[3] } })).toMatchObject({ id: ids[3], email: 'lead3@example.com' })
    expect(await find({ orderBy: { id: 'desc' }, skip: 1 })).toMatchObject({ id: ids.at(-2) })
    expect(await find({ where: { id: uuidv7() } })).toBeNull()
  })

  test('has one statement however long its list of ids is', () => {
    const texts = [0, 2, 100].map((length) => planRead(lead, { where: { id: { in: ids.slice(0, length) } } })?.text)
    expect(texts[0]).toBeDefined()
    expect(new Set(texts).size).toBe(1)
  })

  test('is not sent before it is awaited, and once', async () => {
    const { statements } = await db.statements.during(() =>
      runAsTenant(tenantId, async () => {
        db.tenant.lead.findMany()
        const leads = db.tenant.lead.findMany()
        await Promise.all([leads, leads])
      }),
    )
    expect(statements).toHaveLength(1)
  })

  test.each([
    ['a relation', { where: { tenant: { name: 'a' } } }],
    ['a text search', { where: { name: { contains: 'a' } } }],
    ['json', { where: { custom: { equals: {} } } }],
    ['a value of another type', { where: { name: 1 } }],
    ['a date as a text', { where: { createdAt: '2026-03-01T00:00:00Z' } }],
    ['a date that is none', { where: { createdAt: { gt: 'soon' } } }],
    ['null in a list', { where: { name: { in: ['a', null] } } }],
    ['a nested negation', { where: { name: { not: { in: ['a'] } } } }],
    ['an alternative without a condition', { where: { OR: [{ name: 'a' }, {}] } }],
    ['no alternative', { where: { OR: [] } }],
    ['an unknown column', { where: { nmae: 'a' } }],
    ['an inherited name', { where: { constructor: 'a' } }],
    ['a column that would leave its quotes', { orderBy: { 'id" --': 'asc' } }],
    ['an unknown direction', { orderBy: { id: 'asc; --' } }],
    ['an order by a relation', { orderBy: { tenant: { name: 'asc' } } }],
    ['the last rows', { take: -1 }],
    ['a limit that is no number', { take: '1' }],
    ['include', { include: { tenant: true } }],
    ['distinct', { distinct: ['name'] }],
    ['a cursor', { cursor: { id: ids[0] } }],
    ['a selected relation', { select: { tenant: true } }],
    ['nothing selected', { select: { id: false } }],
  ])('leaves %s to Prisma', (_what, args) => {
    expect(planRead(lead, args)).toBeNull()
  })

  test('refuses the tenant of another scope', async () => {
    const asked = () => db.tenant.lead.findMany({ where: { tenantId: db.tenantIds[1] as string } })
    await expect(runAsTenant(tenantId, async () => asked())).rejects.toThrow('names another tenant')
  })
})

describe('every column of every table can be read plainly', () => {
  // biome-ignore lint/suspicious/noExplicitAny: each client has its own type
  const clients: [any, 'oltp' | 'content' | 'analytics' | 'queue'][] = [
    [OltpClient, 'oltp'],
    [ContentClient, 'content'],
    [AnalyticsClient, 'analytics'],
    [QueueClient, 'queue'],
  ]

  test.each(clients.map(([client, tier]) => [tier, client] as const))('in the %s tier', async (tier, client) => {
    const database = await createTierDatabase(tier)
    const own = openTierDatabase<object>({ url: database.url, systemUrl: database.systemUrl }, client)
    try {
      const models = [...readModels(own.system).values()]
      expect(models.length).toBeGreaterThan(8)
      for (const model of models) {
        const { text } = planRead(model, {}) as { text: string }
        const { fields } = await own.systemSql.query({ text })
        expect(fields.map(({ name }) => name)).toEqual([...model.columns.keys()])
        expect(fields.filter(({ dataTypeID }) => !isReadPlainly(dataTypeID))).toEqual([])
      }
    } finally {
      await own.close()
      await database.drop()
    }
  })
})
