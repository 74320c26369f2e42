import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { PrismaPg } from '@prisma/adapter-pg'
import type pg from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { countStatements } from '#platform/database/statementCount.ts'
import { tenantKey } from '#platform/database/tenantClient.ts'
import { currentTenant, runAsTenant } from '#platform/database/tenantScope.ts'
import { openTierDatabase } from '#platform/database/tierDatabase.ts'
import { PrismaClient } from '#prisma/oltp'
import { openTestDatabase, type TestDatabase, templateData } from './twoTenants.ts'
import { openWireTap } from './wireTap.ts'

let db: TestDatabase
let ours: string
let theirs: string

beforeAll(async () => {
  db = await openTestDatabase(2)
  ;[ours, theirs] = db.tenantIds
})
afterAll(() => db.close())

const newTemplate = (values?: Parameters<typeof templateData>[0]) => ({
  tenantId: currentTenant(),
  ...templateData(values),
})
const create = (tenantId: string, values?: Parameters<typeof templateData>[0]) =>
  runAsTenant(tenantId, () => db.tenant.template.create({ data: newTemplate(values) }))
const find = (tenantId: string, id: string) =>
  runAsTenant(tenantId, () => db.tenant.template.findUnique({ where: tenantKey(id) }))
/** A fault of the caller's may be thrown before there is a promise. */
const attempt = (tenantId: string, work: () => PromiseLike<unknown>) => runAsTenant(tenantId, work)

describe('every statement of the tenant client', () => {
  const { template } = {} as TestDatabase['tenant']
  type Templates = typeof template
  const where = { name: 'named' }
  const operations: Record<string, (templates: Templates, id: string) => PromiseLike<unknown>> = {
    findUnique: (t, id) => t.findUnique({ where: tenantKey(id) }),
    findUniqueOrThrow: (t, id) => t.findUniqueOrThrow({ where: tenantKey(id) }),
    findFirst: (t) => t.findFirst({ where }),
    findFirstOrThrow: (t) => t.findFirstOrThrow({ where }),
    findMany: (t) => t.findMany(),
    count: (t) => t.count(),
    aggregate: (t) => t.aggregate({ _max: { createdAt: true } }),
    groupBy: (t) => t.groupBy({ by: ['name'], _count: true }),
    update: (t, id) => t.update({ where: tenantKey(id), data: { subject: 'new' } }),
    updateMany: (t) => t.updateMany({ where, data: { subject: 'new' } }),
    updateManyAndReturn: (t) => t.updateManyAndReturn({ where, data: { subject: 'new' } }),
    upsert: (t, id) => t.upsert({ where: tenantKey(id), create: newTemplate({ id }), update: { subject: 'new' } }),
    create: (t) => t.create({ data: newTemplate() }),
    createMany: (t) => t.createMany({ data: [newTemplate(), newTemplate()] }),
    createManyAndReturn: (t) => t.createManyAndReturn({ data: [newTemplate()] }),
    delete: (t, id) => t.delete({ where: tenantKey(id) }),
    deleteMany: (t) => t.deleteMany({ where }),
  }

  test.each(Object.keys(operations))('names the tenant and takes one round trip: %s', async (name) => {
    const { id } = await create(ours, { name: 'named' })
    const operation = operations[name] as (typeof operations)[string]
    const { statements } = await countStatements(db, () => runAsTenant(ours, () => operation(db.tenant.template, id)))
    expect(statements).toHaveLength(1)
    expect(statements[0]).toMatch(name.startsWith('create') ? /INSERT.*"tenant_id"/ : /WHERE.*"tenant_id" = \$/)
  })

  test('takes one round trip on the wire', async () => {
    const tap = await openWireTap(db.urls.url)
    const tapped = openTierDatabase({ url: tap.url, systemUrl: db.urls.systemUrl, poolSize: 1 }, PrismaClient)
    await runAsTenant(ours, async () => {
      await tapped.tenant.template.findMany()
      const before = tap.roundTrips()
      await tapped.tenant.template.findMany()
      expect(tap.roundTrips() - before).toBe(1)
      await tapped.tenant.template.create({ data: newTemplate() })
      expect(tap.roundTrips() - before).toBe(2)
    })
    await tapped.close()
    await tap.close()
  })

  test("treats another tenant's row like one that does not exist, and leaves it untouched", async () => {
    const row = await create(theirs, { name: 'named' })
    const notFound = { code: 'P2025' }
    expect(await find(ours, row.id)).toBeNull()
    for (const name of ['findUniqueOrThrow', 'update', 'delete']) {
      await expect(attempt(ours, () => operations[name]?.(db.tenant.template, row.id) as never)).rejects.toMatchObject(
        notFound,
      )
    }
    for (const name of ['updateMany', 'deleteMany'])
      await attempt(ours, () => operations[name]?.(db.tenant.template, row.id) as never)
    expect(await find(theirs, row.id)).toEqual(row)
  })

  test("refuses another tenant's id, wherever it stands", async () => {
    const foreign = { tenantId: theirs, ...templateData() }
    const key = { tenantId_id: { tenantId: theirs, id: foreign.id } }
    const templates = db.tenant.template
    for (const work of [
      () => templates.create({ data: foreign }),
      () => templates.createMany({ data: [newTemplate(), foreign] }),
      () => templates.findMany({ where: { tenantId: theirs } }),
      () => templates.findUnique({ where: key }),
      () => templates.update({ where: key, data: {} }),
      () => templates.update({ where: tenantKey(foreign.id), data: { tenantId: theirs } }),
      () => templates.updateMany({ data: { tenantId: theirs } }),
      () => templates.upsert({ where: tenantKey(foreign.id), create: foreign, update: {} }),
      () => templates.deleteMany({ where: { tenantId: { in: [theirs] } } }),
    ]) {
      await expect(attempt(ours, work)).rejects.toMatchObject({ code: 'INTERNAL' })
    }
    expect(await db.system.template.count({ where: { id: foreign.id } })).toBe(0)
  })

  test('refuses relation writes that would move a row to another tenant or to none', async () => {
    const company = await runAsTenant(ours, () =>
      db.tenant.company.create({ data: { tenantId: ours, id: uuidv7(), name: 'c', workspaceName: uuidv7() } }),
    )
    const relink = (companyWrite: object) =>
      attempt(ours, () =>
        db.tenant.campaign.update({ where: tenantKey(uuidv7()), data: { company: companyWrite } as never }),
      )
    await expect(relink({ disconnect: true })).rejects.toThrow('company: disconnect')
    await expect(relink({ connect: { tenantId_id: { tenantId: ours, id: company.id } } })).rejects.toThrow(
      'company: connect',
    )
    const steal = attempt(ours, () =>
      db.tenant.company.update({
        where: tenantKey(company.id),
        data: { campaigns: { set: [] } } as never,
      }),
    )
    await expect(steal).rejects.toThrow('campaigns: set')
  })
})

describe('findUnique', () => {
  test("of two tenants in the same tick answers each with its own rows; plain Prisma's would not", async () => {
    const [mine, other] = [await create(ours), await create(theirs)]
    const both = () => Promise.all([find(ours, mine.id), find(theirs, other.id), find(theirs, mine.id)])
    expect((await both()).map((row) => row?.tenantId)).toEqual([ours, theirs, undefined])

    const unmapped = new PrismaClient({ adapter: new PrismaPg(db.tenantSql as unknown as pg.Pool) })
    const plain = (tenantId: string, id: string) =>
      runAsTenant(tenantId, () => unmapped.template.findUnique({ where: { tenantId_id: { tenantId: ours, id } } }))
    const [, leaked] = await Promise.all([plain(ours, mine.id), plain(theirs, mine.id)])
    expect(leaked?.tenantId).toBe(ours)
  })

  test('with an undefined or missing key is refused instead of answering any row', async () => {
    await create(ours)
    const templates = db.tenant.template
    for (const where of [{}, { tenantId_id: { tenantId: ours, id: undefined } }, { tenantId_id: undefined }]) {
      await expect(attempt(ours, () => templates.findUnique({ where: where as never }))).rejects.toMatchObject({
        code: 'INTERNAL',
      })
    }
  })

  test('keeps further conditions, selections and the fluent way to relations', async () => {
    const row = await create(ours, { name: 'fluent' })
    await runAsTenant(ours, async () => {
      const templates = db.tenant.template
      expect(await templates.findUnique({ where: { ...tenantKey(row.id), name: 'other' } })).toBeNull()
      expect(await templates.findUnique({ where: tenantKey(row.id), select: { name: true } })).toEqual({
        name: 'fluent',
      })
      expect(await templates.findUnique({ where: tenantKey(row.id) }).tenant()).toMatchObject({ id: ours })
    })
  })
})

describe('upsert', () => {
  test.each([{ update: {} }, { update: { subject: 'again' } }])(
    'is atomic with $update: ten at once make one row',
    async ({ update }) => {
      const id = uuidv7()
      const upsert = () =>
        runAsTenant(ours, () =>
          db.tenant.template.upsert({ where: tenantKey(id), create: newTemplate({ id }), update }),
        )
      const rows = await Promise.all(Array.from({ length: 10 }, upsert))
      expect(new Set(rows.map((row) => row.id))).toEqual(new Set([id]))
      expect(await db.system.template.count({ where: { id } })).toBe(1)
    },
  )

  test('with an empty update changes nothing of a row that exists', async () => {
    const row = await create(ours, { name: 'kept' })
    const again = await runAsTenant(ours, () =>
      db.tenant.template.upsert({
        where: tenantKey(row.id),
        create: newTemplate({ id: row.id, name: 'new' }),
        update: {},
      }),
    )
    expect(again).toMatchObject({ name: 'kept', subject: row.subject })
  })
})

describe('transactions of the tenant client', () => {
  test('are scoped, see their own writes through findUnique, and are undone by an error', async () => {
    const id = uuidv7()
    const failed = runAsTenant(ours, () =>
      db.tenant.$transaction(
        async (tx) => {
          await tx.template.create({ data: newTemplate({ id }) })
          expect(await tx.template.findUnique({ where: tenantKey(id) })).toMatchObject({ id, tenantId: ours })
          const tenants = await tx.$queryRaw`SELECT DISTINCT tenant_id FROM templates`
          expect(tenants).toEqual([{ tenant_id: ours }])
          throw new Error('changed my mind')
        },
        { isolationLevel: 'Serializable' },
      ),
    )
    await expect(failed).rejects.toThrow('changed my mind')
    expect(await find(ours, id)).toBeNull()
  })

  test('as an array are scoped too', async () => {
    const id = uuidv7()
    const [, row] = await runAsTenant(ours, () =>
      db.tenant.$transaction([
        db.tenant.template.create({ data: newTemplate({ id }) }),
        db.tenant.template.findUnique({ where: tenantKey(id) }),
      ]),
    )
    expect(row).toMatchObject({ id, tenantId: ours })
  })

  test('refuse the tenant of another scope inside them', async () => {
    const mixed = runAsTenant(ours, () =>
      db.tenant.$transaction((tx) => runAsTenant(theirs, () => tx.template.count())),
    )
    await expect(mixed).rejects.toThrow('belongs to the tenant that began it')
  })
})

test('raw queries of the tenant client see the tenant alone', async () => {
  await create(ours)
  await create(theirs)
  const tenants = await runAsTenant(ours, () => db.tenant.$queryRaw`SELECT DISTINCT tenant_id FROM templates`)
  expect(tenants).toEqual([{ tenant_id: ours }])
  const changed = await runAsTenant(
    ours,
    () => db.tenant.$executeRaw`DELETE FROM templates WHERE tenant_id = ${theirs}::uuid`,
  )
  expect(changed).toBe(0)
})

test('the tenant client cannot be extended past its tenant', () => {
  const client = db.tenant as unknown as { $extends(extension: object): unknown }
  expect(() => client.$extends({})).toThrow('could bypass')
})
