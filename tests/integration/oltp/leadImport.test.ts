import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { v7 as uuidv7 } from 'uuid'
import { countStatements } from '#platform/database/statementCount.ts'
import { type OltpTier, SERVICE, startOltpTier, userOf } from './oltpTier.ts'
import { writeSuppression } from './rows.ts'
import { foundTenant, type Workspace } from './workspace.ts'

let tier: OltpTier
let demo: Workspace
let rival: Workspace

beforeAll(async () => {
  tier = await startOltpTier()
  demo = await foundTenant(tier)
  rival = await foundTenant(tier)
})
afterAll(() => tier?.stop())

const BEGIN = `mutation ($input: BeginLeadImportInput!) { beginLeadImport(input: $input) {
  leadImport { status rowCount contentStorageKey } } }`
const ROWS = `mutation ($input: ImportLeadRowsInput!) { importLeadRows(input: $input) { status rowCount emailColumn } }`
const FINISH = `mutation ($input: FinishLeadImportInput!) { finishLeadImport(input: $input) { leadImport { status } } }`
const LIST = `{ leadImports(first: 100) { nodes { id errors(first: 2) { nodes { rowNumber code } totalCount } } } }`

const service = (workspace: Workspace) => ({ ...SERVICE, tenantId: workspace.tenantId })

/** An import that a job has taken up. */
async function begun(workspace = demo, values: { campaignId?: string; columnMapping?: object } = {}): Promise<string> {
  const id = uuidv7()
  await tier.db.system.leadImport.create({
    data: { tenantId: workspace.tenantId, id, fileName: 'l.csv', contentStorageKey: `x/${id}`, ...values },
  })
  await tier.ask(BEGIN, { input: { importId: id } }, service(workspace))
  return id
}

type Cells = (string | null)[]

/** Hands over a batch as the worker does; a blank row is null. */
async function send(
  importId: string,
  firstRow: number,
  cells: (Cells | null)[],
  input: { updateExisting?: boolean; header?: string[]; repeated?: number[]; requestedBy?: string } = {},
  workspace = demo,
) {
  const { updateExisting = false, header = ['email', 'name', 'city'], repeated = [], requestedBy } = input
  const rows = cells.flatMap((row, index) =>
    row === null
      ? []
      : [
          {
            number: firstRow + index,
            cells: row.map((cell) => cell ?? ''),
            isRepeated: repeated.includes(firstRow + index),
          },
        ],
  )
  const lastRow = firstRow + cells.length - 1
  const facts = {
    importId,
    header,
    firstRow,
    lastRow,
    rows,
    readBytes: lastRow,
    totalBytes: 100,
    updateExisting,
    requestedBy,
  }
  const { data, errors } = await tier.ask(ROWS, { input: facts }, service(workspace))
  return { code: errors?.[0]?.extensions.code, ...data?.importLeadRows }
}

const stateOf = async (id: string) => {
  const row = await tier.db.system.leadImport.findFirst({ where: { id } })
  const { status, rowCount, createdCount, updatedCount, duplicateCount, suppressedCount, errorCount, lastError } =
    row ?? {}
  return { status, rowCount, createdCount, updatedCount, duplicateCount, suppressedCount, errorCount, lastError }
}
/** What was sent, but for the relay that looks for events and what a new connection prepares. */
const own = (statements: string[]) => statements.filter((text) => !/outbox_events|set_config/.test(text))
const leadOf = (email: string, { tenantId } = demo) =>
  tier.db.system.lead.findFirst({ where: { tenantId, email, deletedAt: null } })
const countLeads = ({ tenantId } = demo) => tier.db.system.lead.count({ where: { tenantId, deletedAt: null } })

describe('a batch of rows', () => {
  test('moves the cursor with what it writes: the same batch again, also ten at once, changes nothing', async () => {
    const id = await begun()
    const cells = [['a@once.example', 'A', 'Rome'], ['b@once.example', '', ''], null, ['bad', '', '']]
    const answers = await Promise.all(Array.from({ length: 10 }, () => send(id, 1, cells)))
    expect(new Set(answers.map(({ rowCount }) => rowCount))).toEqual(new Set([4]))
    const first = { status: 'running', rowCount: 4, createdCount: 2, errorCount: 1, duplicateCount: 0 }
    expect(await stateOf(id)).toMatchObject(first)
    expect(await leadOf('a@once.example')).toMatchObject({ name: 'A', custom: { city: 'Rome' } })
    expect((await send(id, 6, [['c@once.example']])).code).toBe('CONFLICT')
    expect(await stateOf(id)).toMatchObject(first)
    expect(await send(id, 5, [['c@once.example']])).toMatchObject({ status: 'RUNNING', rowCount: 5, emailColumn: 0 })
    await tier.ask(FINISH, { input: { importId: id } }, service(demo))
    expect(await stateOf(id)).toMatchObject({ status: 'completed', createdCount: 3 })
    expect(await send(id, 6, [['d@once.example']])).toMatchObject({ status: 'COMPLETED', rowCount: 5 })
    expect(await leadOf('d@once.example')).toBeNull()
  })

  test('costs as many statements whatever it holds', async () => {
    const id = await begun(demo, { campaignId: demo.campaignId })
    const batch = (from: number, count: number) =>
      Array.from({ length: count }, (_, index) => [`n${from + index}@many.example`, 'N', 'Oslo'])
    const few = await countStatements(tier.db, () => send(id, 1, batch(1, 10)))
    const many = await countStatements(tier.db, () => send(id, 11, batch(11, 1_000)))
    expect(own(many.statements)).toEqual(own(few.statements))
    expect(await stateOf(id)).toMatchObject({ createdCount: 1_010, errorCount: 0 })
  })

  test('of one address the first good row counts, within a batch and before it', async () => {
    const id = await begun()
    await send(id, 1, [
      ['A@Dup.example', 'n'.repeat(300)],
      ['a@dup.EXAMPLE ', 'Second'],
      ['a@dup.example', 'Third'],
    ])
    await send(id, 4, [['a@dup.example', 'Fourth']], { updateExisting: true, repeated: [4] })
    expect(await stateOf(id)).toMatchObject({ createdCount: 1, duplicateCount: 2, errorCount: 1, updatedCount: 0 })
    expect(await leadOf('a@dup.example')).toMatchObject({ name: 'Second' })
  })

  test('leads that are there are counted, or take what is said, and lose nothing by empty cells', async () => {
    const [id, updating] = [await begun(), await begun()]
    const email = `Lead@customer-${demo.slug}.example`
    await send(id, 1, [[email, 'Other', 'Bonn']])
    expect(await stateOf(id)).toMatchObject({ createdCount: 0, duplicateCount: 1 })
    expect(await leadOf(email.toLowerCase())).toMatchObject({ name: 'Lee', custom: {} })
    await send(updating, 1, [[email, '', 'Bonn']], { updateExisting: true })
    expect(await stateOf(updating)).toMatchObject({ updatedCount: 1, duplicateCount: 0 })
    expect(await leadOf(email.toLowerCase())).toMatchObject({ name: 'Lee', custom: { city: 'Bonn' } })
  })

  test('leaves out who must not be written to, by address or domain, known or not', async () => {
    await writeSuppression(tier, demo, 'never@sup.example')
    await tier.db.system.suppression.create({
      data: { tenantId: demo.tenantId, id: uuidv7(), domain: 'gone.example', reason: 'manual' },
    })
    const scope = { scope: 'company', companyId: demo.companyId, reason: 'manual' }
    await tier.db.system.suppression.create({
      data: { tenantId: demo.tenantId, id: uuidv7(), email: 'workspace@sup.example', ...scope },
    })
    const cells = [['Never@sup.example'], ['x@gone.example'], ['workspace@sup.example'], ['fine@sup.example']]
    const joining = await begun(demo, { campaignId: demo.campaignId })
    await send(joining, 1, cells)
    expect(await stateOf(joining)).toMatchObject({ suppressedCount: 3, createdCount: 1 })
    const plain = await begun()
    await send(plain, 1, cells)
    expect(await stateOf(plain)).toMatchObject({ suppressedCount: 2, createdCount: 1, duplicateCount: 1 })
    const theirs = await begun(rival)
    await send(theirs, 1, cells, {}, rival)
    expect(await stateOf(theirs)).toMatchObject({ suppressedCount: 0, createdCount: 4 })
  })
})

describe('an import ends before its time', () => {
  test('when the plan allows no more leads: what fits is written and counted, nothing behind it is', async () => {
    const small = await foundTenant(tier)
    await tier.db.system.plan.create({ data: { id: uuidv7(), code: small.slug, name: 'Small', maxLeads: 4 } })
    const plan = await tier.db.system.plan.findFirstOrThrow({ where: { code: small.slug } })
    await tier.db.system.subscription.updateMany({ where: { tenantId: small.tenantId }, data: { planId: plan.id } })
    const id = await begun(small)
    const cells = [
      ['a@s.example'],
      ['bad'],
      ['b@s.example'],
      ['a@s.example'],
      ['c@s.example'],
      ['worse'],
      ['d@s.example'],
      ['bad'],
      ['e@s.example'],
    ]
    const answer = await send(id, 1, cells, { requestedBy: small.userId }, small)
    expect(answer).toMatchObject({ status: 'FAILED', rowCount: 6 })
    expect(await stateOf(id)).toEqual({
      ...{ status: 'failed', rowCount: 6, createdCount: 3, updatedCount: 0, duplicateCount: 1, suppressedCount: 0 },
      ...{ errorCount: 2, lastError: 'limit_reached: the plan allows no more leads: row 7 is the first left out' },
    })
    expect(await countLeads(small)).toBe(4)
    expect((await tier.announced(small.tenantId)).map(({ eventType }) => eventType)).toEqual(['notification.requested'])
  })

  test('two imports at once do not both take the last places', async () => {
    const small = await foundTenant(tier)
    await tier.db.system.plan.create({ data: { id: uuidv7(), code: small.slug, name: 'Small', maxLeads: 101 } })
    const plan = await tier.db.system.plan.findFirstOrThrow({ where: { code: small.slug } })
    await tier.db.system.subscription.updateMany({ where: { tenantId: small.tenantId }, data: { planId: plan.id } })
    const ids = await Promise.all(Array.from({ length: 4 }, () => begun(small)))
    await Promise.all(
      ids.map((id, of) =>
        send(
          id,
          1,
          Array.from({ length: 60 }, (_, index) => [`x${of}-${index}@two.example`]),
          {},
          small,
        ),
      ),
    )
    expect(await countLeads(small)).toBe(101)
    const created = await Promise.all(ids.map(async (id) => (await stateOf(id)).createdCount ?? 0))
    expect(created.reduce((sum, count) => sum + count, 0)).toBe(100)
  })

  test('when its campaign has ended, or its columns do not do', async () => {
    const ended = await foundTenant(tier)
    await tier.db.system.campaign.updateMany({ where: { tenantId: ended.tenantId }, data: { status: 'completed' } })
    const id = await begun(ended, { campaignId: ended.campaignId })
    expect(await send(id, 1, [['a@e.example']], {}, ended)).toMatchObject({ status: 'FAILED', rowCount: 0 })
    expect(await stateOf(id)).toMatchObject({ createdCount: 0, lastError: expect.stringMatching(/^campaign_ended: /) })
    const other = await begun()
    expect(await send(other, 1, [['a']], { header: ['name'] })).toMatchObject({ status: 'FAILED' })
    expect((await stateOf(other)).lastError).toMatch(/^no_email_column: /)
  })
})

test('all rows that were refused are counted, the first ten thousand are kept, page by page', async () => {
  const full = await foundTenant(tier)
  const ids = [await begun(full), await begun(full)]
  for (const id of ids) await send(id, 1, [['x'], ['y'], ['z']], {}, full)
  const [id] = ids as [string, string]
  for (let from = 4; from < 11_000; from += 2_000) {
    await send(
      id,
      from,
      Array.from({ length: 2_000 }, () => ['bad']),
      {},
      full,
    )
  }
  expect(await stateOf(id)).toMatchObject({ errorCount: 12_003, createdCount: 0 })
  const caller = userOf(full.tenantId)
  const { result, statements } = await countStatements(tier.db, () => tier.ask(LIST, {}, caller))
  const pages = result.data.leadImports.nodes.map(({ errors }: { errors: { totalCount: number } }) => errors)
  expect(pages.map(({ totalCount }: { totalCount: number }) => totalCount).sort()).toEqual([10_000, 3])
  expect(pages[0].nodes).toEqual([
    { rowNumber: 1, code: 'INVALID_EMAIL' },
    { rowNumber: 2, code: 'INVALID_EMAIL' },
  ])
  // The list, the errors of all, and a count of each as it was asked for.
  expect(own(statements)).toHaveLength(4)
  const next = `query ($id: ID!, $after: String) { importJob(id: $id) { errors(first: 2, after: $after) {
    nodes { rowNumber } pageInfo { endCursor hasNextPage } } } }`
  const first = (await tier.ask(next, { id: ids[1] }, caller)).data.importJob.errors
  const second = (await tier.ask(next, { id: ids[1], after: first.pageInfo.endCursor }, caller)).data.importJob.errors
  expect(second).toMatchObject({ nodes: [{ rowNumber: 3 }], pageInfo: { hasNextPage: false } })
  expect((await tier.ask(next, { id, after: 'x' }, caller)).errors?.[0]?.extensions.code).toBe('INVALID_INPUT')
  expect((await tier.ask(next, { id }, userOf(rival.tenantId))).data.importJob).toBeNull()
})

test('only services hand rows over, and another tenant’s import is not found', async () => {
  const id = await begun()
  const input = { importId: id, header: ['email'], firstRow: 1, lastRow: 1, rows: [], readBytes: 1, totalBytes: 1 }
  const asked = { input: { ...input, updateExisting: false } }
  expect((await tier.ask(ROWS, asked, userOf(demo.tenantId))).errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  expect((await tier.ask(ROWS, asked, service(rival))).errors?.[0]?.extensions.code).toBe('NOT_FOUND')
  for (const query of [BEGIN, FINISH]) {
    const answer = await tier.ask(query, { input: { importId: id } }, service(rival))
    expect(answer.errors?.[0]?.extensions.code).toBe('NOT_FOUND')
  }
  expect(await stateOf(id)).toMatchObject({ status: 'running', rowCount: 0 })
})
