import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { behind, LISTS } from '../../../bench/oltp/lists.ts'
import { between, readings } from '../../../bench/oltp/readings.ts'
import { fillStock, type StockedTenant } from '../../../bench/oltp/stock.ts'
import { type OltpTier, startOltpTier, userOf } from './oltpTier.ts'
import { explain, readDefinitions, statementsDuring } from './plans.ts'
import { SERVED_BY } from './servedBy.ts'
import { foundTenant } from './workspace.ts'

// What holds for a million messages, `npm run bench oltp` shows; here the same lists are asked of fewer.
const MESSAGES = 30_000

/** Tables that grow with a tenant's mail and leads; of the others PostgreSQL may as well read all. */
const GROWING = new Set([
  ...['inbox_message_refs', 'conversations', 'campaigns', 'campaign_enrollments', 'campaign_metrics', 'leads'],
  ...['suppressions', 'templates', 'lead_import_errors'],
])

let tier: OltpTier
let largest: StockedTenant
/** What each index holds, by its name. */
let definitions: Map<string, string>

beforeAll(async () => {
  // One connection, so that its statistics can be had at once.
  tier = await startOltpTier({ poolSize: 1 })
  const { ownerUrl, systemUrl } = tier.databases[0] as OltpTier['databases'][number]
  const [system, owner] = [new pg.Client(systemUrl), new pg.Client(ownerUrl)]
  await Promise.all([system.connect(), owner.connect()])
  ;[largest] = (await fillStock(system, { tenants: 3, refs: MESSAGES })) as [StockedTenant]
  // What filling has read is told now, and not while a list is asked.
  await system.query('SELECT pg_stat_force_next_flush()')
  await owner.query('VACUUM (ANALYZE)')
  definitions = await readDefinitions(owner)
  await Promise.all([system.end(), owner.end()])
}, 240_000)
afterAll(() => tier?.stop())

/** Asks, and says what of the big tables was read for it. */
async function ask(field: string) {
  const before = await readings(tier.db, largest.tenantId)
  const { data, errors } = await tier.ask(`{ ${field} }`, {}, userOf(largest.tenantId))
  expect(errors).toBeUndefined()
  const { scans, read } = between(before, await readings(tier.db, largest.tenantId))
  return { list: Object.values(data)[0] as Page, scans, isAPagesWorth: read < 200 }
}

type Page = { nodes?: unknown[]; pageInfo?: { endCursor: string } }

describe('a page is read from an index, no matter how many there are:', () => {
  test.each(Object.keys(LISTS))('%s', async (name) => {
    const field = LISTS[name]?.(largest) ?? ''
    const first = await ask(field)
    expect(first).toMatchObject({ scans: 0, isAPagesWorth: true })
    if (!first.list.pageInfo) return
    // It shows something, so it could have cost something.
    expect(first.list.nodes).not.toEqual([])
    expect(await ask(behind(field, first.list.pageInfo.endCursor))).toMatchObject({ scans: 0, isAPagesWorth: true })
  })
})

describe('PostgreSQL plans to read the index made for it:', () => {
  test.each(Object.keys(SERVED_BY))('%s', async (name) => {
    expect(await indexesOf(LISTS[name]?.(largest) ?? '')).toEqual(SERVED_BY[name])
  })
})

test('a list for which no index is named reads no table that grows', async () => {
  for (const name of Object.keys(LISTS).filter((list) => !SERVED_BY[list])) {
    expect({ name, reads: await indexesOf(LISTS[name]?.(largest) ?? '') }).toEqual({ name, reads: [] })
  }
})

/** What a list's statements read the growing tables by: the table with the index's columns and condition, or how else. */
async function indexesOf(field: string): Promise<string[]> {
  const sent = await statementsDuring(() => tier.ask(`{ ${field} }`, {}, userOf(largest.tenantId)))
  const used = new Set<string>()
  for (const statement of sent.filter(({ text }) => /^\s*(select|with)\b/i.test(text))) {
    const plan = await runAsTenant(largest.tenantId, () =>
      explain((text, values) => tier.db.tenantSql.query(text, values), statement),
    )
    for (const { table, how, index } of plan) {
      if (GROWING.has(table)) used.add(`${table} ${index ? definitions.get(index) : how}`)
    }
  }
  return [...used].sort()
}

test("another tenant's page is empty, and costs none of the rows that are not its own", async () => {
  const rival = await foundTenant(tier)
  const before = await readings(tier.db, rival.tenantId)
  const query =
    '{ messages(filter: { isRead: false }) { nodes { id } } leads(filter: { status: REPLIED }) { nodes { id } } }'
  const answer = await tier.ask(query, {}, userOf(rival.tenantId))
  expect(answer.data).toEqual({ messages: { nodes: [] }, leads: { nodes: [] } })
  expect(between(before, await readings(tier.db, rival.tenantId)).read).toBeLessThan(20)
})
