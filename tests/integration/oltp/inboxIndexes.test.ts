import { afterAll, beforeAll, expect, test } from '@jest/globals'
import pg from 'pg'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { applyBrakes, holdBrakes } from '../../../subgraphs/oltp/services/brakes/brakes.ts'
import { findPlacement } from '../../../subgraphs/oltp/services/mailFlow/placement.ts'
import { settleDelivered } from '../../../subgraphs/oltp/services/mailFlow/settleDelivered.ts'
import { transact } from '../../../subgraphs/oltp/services/sending/transact.ts'
import { type OltpTier, startOltpTier, userOf } from './oltpTier.ts'
import { foundTenant, type Workspace } from './workspace.ts'

const THREADS = 20_000

let tier: OltpTier
let demo: Workspace
let rival: Workspace

/** Twenty thousand threads of two messages: every hundredth of a campaign and a lead, starred, archived or not read. */
const FILL = `
  INSERT INTO inbox_message_refs (tenant_id, id, email_account_id, campaign_id, lead_id, thread_id, direction, status,
    from_email, to_email, subject, dedup_key, rfc822_message_id, is_read, sent_at, delivered_at, created_at)
  SELECT $1, md5(n::text || part)::uuid, $2, CASE WHEN n % 100 = 0 THEN $3::uuid END, CASE WHEN n % 100 = 0 THEN $4::uuid END,
    md5(n::text || '0')::uuid, CASE part WHEN 0 THEN 'outbound' ELSE 'inbound' END,
    CASE part WHEN 0 THEN 'delivered' ELSE 'received' END,
    CASE WHEN n % 100 = 1 THEN 'rare@x.example' ELSE n || '@x.example' END, 'us@x.example',
    'Re: ' || CASE WHEN n % 100 = 2 THEN 'Rare' ELSE 'Usual' END || ' subject ' || n, n || '-' || part, n || '-' || part || '@x',
    false, CASE part WHEN 0 THEN now() - n * interval '1 minute' END, CASE part WHEN 0 THEN now() END,
    now() - n * interval '1 minute' + part * interval '1 second'
  FROM generate_series(1, ${THREADS}) AS n, generate_series(0, 1) AS part`
const MARK = `
  WITH numbered AS (
    SELECT thread_id, row_number() OVER (ORDER BY last_message_at DESC) AS n FROM conversations WHERE tenant_id = $1)
  UPDATE conversations c SET unread_count = CASE WHEN n % 100 = 3 THEN c.unread_count ELSE 0 END,
    is_starred = n % 100 = 4, is_archived = n % 100 = 5
  FROM numbered WHERE c.tenant_id = $1 AND c.thread_id = numbered.thread_id`

beforeAll(async () => {
  // One connection, so that its statistics can be had at once.
  tier = await startOltpTier({ poolSize: 1 })
  demo = await foundTenant(tier)
  rival = await foundTenant(tier)
  const { tenantId, mailboxId, campaignId, leadId } = demo
  await tier.db.systemSql.query('SET statement_timeout = 0')
  await tier.db.systemSql.query(FILL, [tenantId, mailboxId, campaignId, leadId])
  await tier.db.systemSql.query(MARK, [tenantId])
  await tier.db.systemSql.query('SELECT pg_stat_force_next_flush()')
  const owner = new pg.Client({ connectionString: tier.databases[0]?.ownerUrl })
  await owner.connect()
  // Marking them has left the old versions behind, in the partial indexes too.
  await owner.query('VACUUM (ANALYZE) inbox_message_refs, conversations, leads, campaigns, email_accounts')
  await owner.end()
}, 180_000)
afterAll(() => tier?.stop())

// Of the partitions only the tenant's own: an empty one is scanned as well as not.
const TABLES = `relid IN (SELECT oid FROM pg_class WHERE reltuples > 1000
  AND (relname LIKE 'inbox\\_message\\_refs\\_p%' OR relname = 'conversations'))`

/** Whole-table scans and rows read by way of indexes, of the big tables, so far. */
async function readings() {
  await runAsTenant(demo.tenantId, () => tier.db.tenantSql.query('SELECT pg_stat_force_next_flush()'))
  await tier.db.systemSql.query('SELECT pg_stat_force_next_flush()')
  const { rows } = await tier.db.systemSql.query(`
    SELECT (SELECT sum(seq_scan)::int FROM pg_stat_user_tables WHERE ${TABLES}) AS scans,
           (SELECT sum(idx_tup_read)::int FROM pg_stat_user_indexes WHERE ${TABLES}) AS read`)
  return rows[0] as { scans: number; read: number }
}

async function expectFrugal<Result>(work: () => Promise<Result>, rows = 200): Promise<Result> {
  const before = await readings()
  const result = await work()
  const after = await readings()
  expect({
    scans: after.scans - before.scans,
    frugal: after.read - before.read < rows || after.read - before.read,
  }).toEqual({
    scans: 0,
    frugal: true,
  })
  return result
}

const lists: Record<string, string> = {
  conversations: 'conversations(AFTER)',
  'conversations of a mailbox': 'conversations(AFTER filter: { emailAccountId: "MAILBOX" })',
  'conversations of a campaign': 'conversations(AFTER filter: { campaignId: "CAMPAIGN" })',
  'conversations with a lead': 'conversations(AFTER filter: { leadId: "LEAD" })',
  'conversations with a correspondent': 'conversations(AFTER filter: { correspondent: "rare@x.example" })',
  'conversations not read': 'conversations(AFTER filter: { isUnread: true })',
  'conversations starred': 'conversations(AFTER filter: { isStarred: true })',
  'conversations archived': 'conversations(AFTER filter: { isArchived: true })',
  recentReplies: 'recentReplies(AFTER)',
}

test.each(Object.keys(lists))('%s: a page is read from an index, no matter how many there are', async (name) => {
  const field = (lists[name] ?? '')
    .replace('MAILBOX', demo.mailboxId)
    .replace('CAMPAIGN', demo.campaignId)
    .replace('LEAD', demo.leadId)
  const ask = async (after: string) => {
    const query = `{ ${field.replace('AFTER', `first: 20 ${after}`)} { nodes { id } pageInfo { endCursor } } }`
    const answer = await expectFrugal(() => tier.ask(query, {}, userOf(demo.tenantId)))
    const [list] = Object.values(answer.data) as { nodes: unknown[]; pageInfo: { endCursor: string } }[]
    expect(list?.nodes).toHaveLength(20)
    return list?.pageInfo.endCursor
  }
  await ask(`after: "${await ask('')}"`)
})

test('conversations searched by a beginning read what begins so, or the newest until enough are found', async () => {
  const found = async (search: string, rows: number) => {
    const query = 'query ($search: String) { conversations(filter: { search: $search }) { nodes { subject } } }'
    const answer = await expectFrugal(() => tier.ask(query, { search }, userOf(demo.tenantId)), rows)
    return answer.data.conversations.nodes.length
  }
  expect(await found('rare', 2_500)).toBe(20)
  expect(await found('rare@x.example', 2_500)).toBe(20)
  // Also when the database has settled on one plan for whatever is searched.
  for (let time = 0; time < 12; time += 1) expect(await found('nothing begins so', 50)).toBe(0)
  for (let time = 0; time < 3; time += 1) expect(await found('rare', 2_500)).toBe(20)
})

test('a conversation with its messages is read from an index', async () => {
  const { rows } = await tier.db.systemSql.query('SELECT thread_id AS id FROM conversations LIMIT 1')
  const query = 'query ($id: ID!) { conversation(id: $id) { messages { nodes { id } } } }'
  const answer = await expectFrugal(() => tier.ask(query, { id: rows[0].id }, userOf(demo.tenantId)), 20)
  expect(answer.data.conversation.messages.nodes).toHaveLength(2)
})

test("another tenant's pages are empty, and cost none of the rows that are not its own", async () => {
  const query = '{ conversations { nodes { id } } recentReplies { nodes { id } } }'
  const before = await readings()
  const answer = await tier.ask(query, {}, userOf(rival.tenantId))
  expect((await readings()).read - before.read).toBeLessThan(20)
  expect(answer.data).toEqual({ conversations: { nodes: [] }, recentReplies: { nodes: [] } })
})

test('where a mail belongs is found by indexes, with a guess and without', async () => {
  const place = (answeredIds: string[]) =>
    runAsTenant(demo.tenantId, () =>
      findPlacement(tier.db.tenantSql, {
        ...{ emailAccountId: demo.mailboxId, toEmails: [], answeredIds, answeredRefIds: [], dedupKey: 'new' },
        fromEmail: `lead@customer-${demo.slug}.example`,
        mayAnswerAny: true,
      }),
    )
  for (let time = 0; time < 8; time += 1) await place(['100-0@x'])
  const named = await expectFrugal(() => place(['100-0@x']), 50)
  expect(named).toMatchObject({ answered: { campaignId: demo.campaignId } })
  const guessed = await expectFrugal(() => place(['unknown@x']), 50)
  expect(guessed).toMatchObject({ answered: null, campaignMail: { leadId: demo.leadId } })
})

test('brakes and settling look at what came of mail lately, not at all mail', async () => {
  const message = { mailbox: { id: demo.mailboxId }, campaignId: demo.campaignId }
  // The mailbox has sent 1,440 mails within a day: so many are counted.
  await expectFrugal(
    () =>
      runAsTenant(demo.tenantId, () =>
        transact({ db: tier.db, requestId: 'test' }, async (tx) => {
          const held = await holdBrakes(tx, [message])
          await applyBrakes(tx, held, { at: new Date(), requestId: 'test' })
        }),
      ),
    2_000,
  )
  const context = { db: tier.db, relay: { wake() {} }, requestId: 'test' } as unknown as Parameters<
    typeof settleDelivered
  >[0]
  expect(await expectFrugal(() => settleDelivered(context), 20)).toEqual({ settled: 0, hasMore: false })
})
