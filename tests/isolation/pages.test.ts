import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { v7 as uuidv7 } from 'uuid'
import { findPage, type PageQuery, parsePageArgs } from '#platform/database/pages.ts'
import { findPageIdsPerParent, loadNodes } from '#platform/database/pagesPerParent.ts'
import { countStatements } from '#platform/database/statementCount.ts'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { openTestDatabase, type TestDatabase } from './twoTenants.ts'

const ROWS = 57
const FOLDERS = ['inbox', 'drafts', null]
const badInput = { code: 'INVALID_INPUT' }

let db: TestDatabase
let ours: string
let theirs: string

beforeAll(async () => {
  db = await openTestDatabase(2)
  ;[ours, theirs] = db.tenantIds
  for (const tenantId of [ours, theirs]) {
    // Many rows share an instant, so that the order hangs on the id.
    const rows = Array.from({ length: ROWS }, (_, n) => ({
      tenantId,
      id: uuidv7(),
      name: `template ${n % 10}`,
      subject: `${tenantId} ${n}`,
      folder: FOLDERS[n % FOLDERS.length] as string | null,
      createdAt: new Date(1_800_000_000_000 + Math.floor(n / 5)),
    }))
    await db.system.template.createMany({ data: rows })
  }
})
afterAll(() => db.close())

type Query = PageQuery<TestDatabase['tenant']['template']>
const newest = [{ field: 'createdAt', direction: 'desc' }] as const
const page = (query: Partial<Query>, tenantId = ours) =>
  runAsTenant(tenantId, () => findPage(db.tenant.template, { sort: newest, ...query }))

/** Walks a list to its end; answers the ids in order. */
async function walk(query: Partial<Query>, tenantId = ours): Promise<string[]> {
  const ids: string[] = []
  let after: string | null = null
  do {
    const { nodes, pageInfo }: Awaited<ReturnType<typeof page>> = await page({ ...query, after }, tenantId)
    expect(pageInfo.hasPreviousPage).toBe(after !== null)
    ids.push(...nodes.map((node) => node.id))
    after = pageInfo.hasNextPage ? pageInfo.endCursor : null
  } while (after)
  return ids
}

describe('a page', () => {
  const orders: Query['sort'][] = [
    newest,
    [{ field: 'createdAt', direction: 'asc' }],
    [{ field: 'name', direction: 'asc' }],
    [
      { field: 'name', direction: 'desc' },
      { field: 'createdAt', direction: 'asc' },
    ],
    [{ field: 'folder', direction: 'asc', nulls: 'last' }],
    [{ field: 'folder', direction: 'asc', nulls: 'first' }],
    [{ field: 'folder', direction: 'desc', nulls: 'last' }],
    [{ field: 'folder', direction: 'desc', nulls: 'first' }],
    [{ field: 'id', direction: 'desc' }],
  ]

  test.each(orders.map((sort) => [JSON.stringify(sort), sort] as const))(
    'after another loses and repeats no row when sorted by %s',
    async (_, sort) => {
      const whole = await runAsTenant(ours, () => findPage(db.tenant.template, { sort, first: 100 }))
      const walked = await walk({ sort, first: 7 })
      expect(walked).toEqual(whole.nodes.map((node) => node.id))
      expect(new Set(walked).size).toBe(ROWS)
    },
  )

  test('holds its tenant’s rows alone, also with a cursor of another tenant', async () => {
    const { pageInfo } = await page({ first: 5 }, theirs)
    const { nodes } = await page({ first: 100, after: pageInfo.endCursor })
    expect(new Set(nodes.map((node) => node.tenantId))).toEqual(new Set([ours]))
  })

  test('stays in place while rows are inserted before it', async () => {
    const first = await page({ first: 10 })
    const expected = await page({ first: 10, after: first.pageInfo.endCursor })
    const data = { tenantId: ours, id: uuidv7(), name: 'newest', subject: '', createdAt: new Date(1_900_000_000_000) }
    await runAsTenant(ours, () => db.tenant.template.create({ data }))
    const second = await page({ first: 10, after: first.pageInfo.endCursor })
    expect(second.nodes).toEqual(expected.nodes)
    await db.system.template.deleteMany({ where: { id: data.id } })
  })

  test('counts the whole list only when asked, once', async () => {
    const { result, statements } = await countStatements(db, () => page({ first: 3, where: { name: 'template 1' } }))
    expect(statements).toHaveLength(1)
    const counted = await countStatements(db, () => Promise.all([result.totalCount(), result.totalCount()]))
    expect(counted.result).toEqual([6, 6])
    expect(counted.statements).toHaveLength(1)
  })

  test('has the selected fields and relations, also in its type', async () => {
    const { nodes } = await runAsTenant(ours, () =>
      findPage(db.tenant.template, { sort: newest, first: 1, select: { id: true, createdAt: true } }),
    )
    const [node] = nodes
    expect(Object.keys(node as { id: string; createdAt: Date })).toEqual(['id', 'createdAt'])
    const related = await runAsTenant(ours, () =>
      findPage(db.tenant.template, { sort: newest, first: 1, include: { tenant: true } }),
    )
    expect(related.nodes[0]?.tenant.id).toBe(ours)
  })

  test('reads an index from its cursor on instead of the list from its start', async () => {
    const { pageInfo } = await page({ first: 10 })
    const { statements } = await countStatements(db, () => page({ first: 10, after: pageInfo.endCursor }))
    expect(statements[0]).toMatch(/"created_at" <= \$/)
  })
})

describe('page arguments', () => {
  test('default to 20 and may be 1 to 100', () => {
    expect(parsePageArgs({})).toEqual({ first: 20, after: null })
    expect(parsePageArgs({ first: 100, after: null })).toEqual({ first: 100, after: null })
  })

  test.each([0, -1, 101, 1e9, 1.5, Number.NaN])('refuse first: %p with the limits', async (first) => {
    await expect(page({ first })).rejects.toMatchObject({
      ...badInput,
      message: expect.stringContaining('between 1 and 100'),
    })
  })

  const json = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  test.each(['', 'x', '????', '\0', json(null), json([]), json({ a: 1 })])(
    'refuse the bad cursor %j',
    async (after) => {
      await expect(page({ after })).rejects.toMatchObject(badInput)
    },
  )

  test('refuse a cursor that is too long to be one', async () => {
    await expect(page({ after: 'A'.repeat(5000) })).rejects.toMatchObject(badInput)
  })

  test('refuse a cursor of another list or of another order', async () => {
    const { pageInfo } = await page({ first: 1 })
    await expect(
      page({ after: pageInfo.endCursor, sort: [{ field: 'name', direction: 'asc' }] }),
    ).rejects.toMatchObject(badInput)
    const leads = runAsTenant(ours, () => findPage(db.tenant.lead, { sort: newest, after: pageInfo.endCursor }))
    await expect(leads).rejects.toMatchObject(badInput)
  })

  test.each([
    [['x'.repeat(30), 'y']],
    [[{ ms: 1e99 }, uuidv7()]],
    [[{ ms: 8_640_000_000_000_000 }, uuidv7()]],
    [[{ ms: -8_640_000_000_000_000 }, uuidv7()]],
    [[{ int: '1' }, uuidv7()]],
    [[{ int: '9223372036854775808' }, uuidv7()]],
    [[{ ms: 1 }, 'not-a-uuid']],
    [[{ ms: 1 }, 'nul\0']],
    [[{ ms: 1 }, null]],
    [[true, 7]],
    [[{ ms: 1 }]],
    [[{ ms: 1 }, uuidv7(), 3]],
  ])('refuse a forged cursor of the right list: %j', async (values) => {
    const { pageInfo } = await page({ first: 1 })
    const [signature] = JSON.parse(Buffer.from(pageInfo.endCursor as string, 'base64url').toString())
    const outcome = await page({ after: json([signature, ...values]) }).catch((error) => error)
    // An instant at the end of time is a place like another; everything else is refused.
    if (outcome instanceof Error) expect(outcome).toMatchObject(badInput)
    else expect(values[0]).toEqual({ ms: 8_640_000_000_000_000 })
  })
})

describe('pages of many parents', () => {
  const perFolder = (args: {
    first?: number
    after?: string | null
    where?: (bind: (v: unknown) => string) => string
  }) =>
    findPageIdsPerParent(db.tenantSql, {
      table: 'templates',
      parentColumn: 'folder',
      parentType: 'text',
      parentIds: ['inbox', 'drafts', 'empty', 'inbox'],
      sort: [{ column: 'created_at', direction: 'desc' }],
      ...args,
    })

  test('come from one statement, each the page that its parent alone would have', async () => {
    const { result, statements } = await countStatements(db, () => runAsTenant(ours, () => perFolder({ first: 4 })))
    expect(statements).toHaveLength(1)
    expect([...result.keys()]).toEqual(['inbox', 'drafts', 'empty'])
    for (const folder of ['inbox', 'drafts', 'empty']) {
      const alone = await page({ first: 4, where: { folder } })
      expect(result.get(folder)?.nodes).toEqual(alone.nodes.map((node) => node.id))
      expect(result.get(folder)?.pageInfo.hasNextPage).toBe(alone.pageInfo.hasNextPage)
    }
  })

  test('are walked to the end by their cursors', async () => {
    const expected = await walk({ where: { folder: 'inbox' }, first: 100 })
    const walked: string[] = []
    let after: string | null = null
    do {
      const pages = await runAsTenant(ours, () => perFolder({ first: 5, after }))
      const inbox = pages.get('inbox')
      walked.push(...(inbox?.nodes ?? []))
      after = inbox?.pageInfo.hasNextPage ? inbox.pageInfo.endCursor : null
    } while (after)
    expect(walked).toEqual(expected)
  })

  test('share one more statement for all their counts', async () => {
    const { statements } = await countStatements(db, () =>
      runAsTenant(ours, async () => {
        const pages = await perFolder({ where: (bind) => `t.name <> ${bind('template 0')}` })
        const counts = await Promise.all([...pages.values()].map((connection) => connection.totalCount()))
        const expected = ['inbox', 'drafts', 'empty'].map((folder) =>
          db.system.template.count({ where: { tenantId: ours, folder, name: { not: 'template 0' } } }),
        )
        expect(counts).toEqual(await Promise.all(expected))
      }),
    )
    expect(statements.filter((text) => text.includes('templates t'))).toHaveLength(2)
  })

  test('refuse bad arguments and cursors, and never show another tenant’s rows', async () => {
    await expect(runAsTenant(ours, () => perFolder({ first: 1e9 }))).rejects.toMatchObject(badInput)
    const { pageInfo } = await page({ first: 1 })
    await expect(runAsTenant(ours, () => perFolder({ after: pageInfo.endCursor }))).rejects.toMatchObject(badInput)
    const pages = await runAsTenant(theirs, () => perFolder({ first: 100 }))
    const load = (id: string) => runAsTenant(ours, () => db.tenant.template.findFirst({ where: { id } }))
    const inbox = pages.get('inbox')
    expect(inbox?.nodes.length).toBeGreaterThan(0)
    expect((await loadNodes(inbox as NonNullable<typeof inbox>, load)).nodes).toEqual([])
  })
})
