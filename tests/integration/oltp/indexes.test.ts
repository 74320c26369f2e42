import { afterAll, beforeAll, expect, test } from '@jest/globals'
import pg from 'pg'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { type OltpTier, startOltpTier, userOf } from './oltpTier.ts'
import { foundTenant, type Workspace } from './workspace.ts'

const MESSAGES = 20_000
const OTHERS = 5_000

let tier: OltpTier
let demo: Workspace

/** Twenty thousand messages: every hundredth unread, starred, of another sender; and thousands of leads and campaigns. */
const FILL = `
  INSERT INTO inbox_message_refs (tenant_id, id, email_account_id, campaign_id, step_id, lead_id, thread_id, direction,
    status, from_email, subject, dedup_key, content_storage_key, rfc822_message_id, is_read, is_starred, is_archived, created_at)
  SELECT $1, gen_random_uuid(), $2, CASE WHEN n % 100 = 0 THEN $3::uuid END, CASE WHEN n % 100 = 0 THEN $4::uuid END,
    CASE WHEN n % 100 = 0 THEN $5::uuid END, md5((n / 100)::text)::uuid,
    CASE WHEN n % 100 = 1 THEN 'inbound' ELSE 'outbound' END, CASE WHEN n % 100 = 1 THEN 'received' ELSE 'sent' END,
    CASE WHEN n % 100 = 0 THEN 'rare@x.example' ELSE 'us@x.example' END, 'Mail ' || n, n::text, 'mail/' || n, n || '@x',
    n % 100 <> 0, n % 100 = 0, n % 100 = 0, now() - n * interval '1 minute'
  FROM generate_series(1, ${MESSAGES}) AS n`
const FILL_OTHERS = `
  WITH leads AS (
    INSERT INTO leads (tenant_id, id, email, status, created_at)
    SELECT $1, gen_random_uuid(), n || '@x.example', CASE WHEN n % 100 = 0 THEN 'replied' ELSE 'new' END,
           now() - n * interval '1 minute' FROM generate_series(1, ${OTHERS}) AS n)
  INSERT INTO campaigns (tenant_id, id, company_id, name, status, created_at)
  SELECT $1, gen_random_uuid(), $2, 'Campaign ' || n, CASE WHEN n % 100 = 0 THEN 'paused' ELSE 'draft' END,
         now() - n * interval '1 minute' FROM generate_series(1, ${OTHERS}) AS n`

beforeAll(async () => {
  // One connection, so that its statistics can be had at once.
  tier = await startOltpTier({ poolSize: 1 })
  demo = await foundTenant(tier)
  const { tenantId, mailboxId, campaignId, stepId, leadId, companyId } = demo
  await tier.db.systemSql.query(FILL, [tenantId, mailboxId, campaignId, stepId, leadId])
  await tier.db.systemSql.query(FILL_OTHERS, [tenantId, companyId])
  await tier.db.systemSql.query('SELECT pg_stat_force_next_flush()')
  const owner = new pg.Client({ connectionString: tier.databases[0]?.ownerUrl })
  await owner.connect()
  await owner.query('ANALYZE inbox_message_refs, leads, campaigns')
  await owner.end()
}, 120_000)
afterAll(() => tier?.stop())

const TABLES = "(relname LIKE 'inbox\\_message\\_refs\\_p%' OR relname IN ('leads', 'campaigns'))"

/** Whole-table scans and rows read by way of indexes, of the big tables, so far. */
async function readings() {
  await runAsTenant(demo.tenantId, () => tier.db.tenantSql.query('SELECT pg_stat_force_next_flush()'))
  const { rows } = await tier.db.systemSql.query(`
    SELECT (SELECT sum(seq_scan)::int FROM pg_stat_user_tables WHERE ${TABLES}) AS scans,
           (SELECT sum(idx_tup_read)::int FROM pg_stat_user_indexes WHERE ${TABLES}) AS read`)
  return rows[0] as { scans: number; read: number }
}

const page = '{ nodes { id } pageInfo { endCursor } }'
const lists: Record<string, string> = {
  messages: `messages ${page}`,
  'messages of a mailbox': `messages(filter: { emailAccountId: "MAILBOX" }) ${page}`,
  'messages of a campaign': `messages(filter: { campaignId: "CAMPAIGN" }) ${page}`,
  'messages of a step': `messages(filter: { stepId: "STEP" }) ${page}`,
  'messages of a lead': `messages(filter: { leadId: "LEAD" }) ${page}`,
  'messages of a sender': `messages(filter: { fromEmail: "rare@x.example" }) ${page}`,
  'messages not read': `messages(filter: { isRead: false }) ${page}`,
  'messages starred': `messages(filter: { isStarred: true }) ${page}`,
  'messages archived': `messages(filter: { isArchived: true }) ${page}`,
  'messages of a state': `messages(filter: { direction: INBOUND, status: [RECEIVED] }) ${page}`,
  'messages within a campaign': 'campaign(id: "CAMPAIGN") { messages { nodes { id } } }',
  'messages within a mailbox': 'emailAccount(id: "MAILBOX") { messages { nodes { id } } }',
  campaigns: `campaigns ${page}`,
  'campaigns of a state': `campaigns(filter: { status: [PAUSED] }) ${page}`,
  'campaigns by name': `campaigns(orderBy: { field: NAME, direction: ASC }) ${page}`,
  'campaigns by last change': `campaigns(orderBy: { field: UPDATED_AT }) ${page}`,
  leads: `leads ${page}`,
  'leads of a state': `leads(filter: { status: REPLIED }) ${page}`,
}

test.each(Object.keys(lists))('%s: a page is read from an index, no matter how many there are', async (name) => {
  const field = (lists[name] ?? '')
    .replace('MAILBOX', demo.mailboxId)
    .replace('CAMPAIGN', demo.campaignId)
    .replace('STEP', demo.stepId)
    .replace('LEAD', demo.leadId)
  const ask = async (asked: string) => {
    const before = await readings()
    const answer = await tier.ask(`{ ${asked} }`, {}, userOf(demo.tenantId))
    expect(answer.errors).toBeUndefined()
    const after = await readings()
    expect({ scans: after.scans - before.scans, rowsRead: after.read - before.read < 200 }).toEqual({
      scans: 0,
      rowsRead: true,
    })
    return answer
  }
  const { data } = await ask(field)
  const [list] = Object.values(data) as { nodes?: unknown[]; pageInfo?: { endCursor: string } }[]
  if (!list?.pageInfo) return
  expect(list.nodes).toHaveLength(20)
  const after = `after: "${list.pageInfo.endCursor}"`
  const [fieldName = ''] = /^\w+/.exec(field) ?? []
  const next = field.startsWith(`${fieldName}(`)
    ? field.replace('(', `(${after}, `)
    : field.replace(fieldName, `${fieldName}(${after})`)
  await ask(next)
})

test("another tenant's page is empty, and costs none of the rows that are not its own", async () => {
  const rival = await foundTenant(tier)
  const before = await readings()
  const query = `{ messages(filter: { isRead: false }) { nodes { id } } leads(filter: { status: REPLIED }) { nodes { id } } }`
  const answer = await tier.ask(query, {}, userOf(rival.tenantId))
  expect(answer.data).toEqual({ messages: { nodes: [] }, leads: { nodes: [] } })
  expect((await readings()).read - before.read).toBeLessThan(20)
})
