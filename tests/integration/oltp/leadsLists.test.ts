import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { makeAsk } from './asking.ts'
import { type OltpTier, startOltpTier } from './oltpTier.ts'
import { foundTenant, type Workspace } from './workspace.ts'

// Lists of campaigns' leads, suppressions, templates, domains and mailboxes: read from an index, in constant statements.

const MANY = 5_000

let tier: OltpTier
let demo: Workspace
let rival: Workspace

/** Five thousand of each; every hundredth is rare. */
const FILL = `
  WITH lead AS (
    INSERT INTO leads (tenant_id, id, email, created_at)
    SELECT $1, gen_random_uuid(), n || '@x.example', now() - n * interval '1 minute' FROM generate_series(1, ${MANY}) n
    RETURNING id)
  INSERT INTO campaign_enrollments (tenant_id, id, campaign_id, lead_id, status, created_at)
  SELECT $1, gen_random_uuid(), $2, id, CASE WHEN row_number() OVER () % 100 = 0 THEN 'replied' ELSE 'active' END,
    now() - row_number() OVER () * interval '1 minute' FROM lead`
const FILL_SUPPRESSIONS = `
  INSERT INTO suppressions (tenant_id, id, email, domain, reason, created_at)
  SELECT $1, gen_random_uuid(), CASE WHEN n % 2 = 0 THEN n || '@s.example' END, CASE WHEN n % 2 = 1 THEN n || '.example' END,
    'manual', now() - n * interval '1 minute' FROM generate_series(1, ${MANY}) n`
const FILL_TEMPLATES = `
  INSERT INTO templates (tenant_id, id, name, subject, body_text, folder, created_at)
  SELECT $1, gen_random_uuid(), 'Template ' || n, 'x', 'x', CASE WHEN n % 100 = 0 THEN 'rare' ELSE 'usual' END,
    now() - n * interval '1 minute' FROM generate_series(1, ${MANY}) n`
const FILL_MAILBOXES = `
  WITH domain AS (
    INSERT INTO domains (tenant_id, id, company_id, domain, created_at)
    SELECT $1, gen_random_uuid(), $2, n || '.many.example', now() - n * interval '1 minute'
    FROM generate_series(1, ${MANY}) n RETURNING id, domain)
  INSERT INTO email_accounts (tenant_id, id, domain_id, email, status, created_at)
  SELECT $1, gen_random_uuid(), id, 'x@' || domain, CASE WHEN row_number() OVER () % 100 = 0 THEN 'suspended' ELSE 'active' END,
    now() - row_number() OVER () * interval '1 minute' FROM domain`

beforeAll(async () => {
  // One connection, so that its statistics can be had at once.
  tier = await startOltpTier({ poolSize: 1 })
  demo = await foundTenant(tier)
  rival = await foundTenant(tier)
  const { systemSql } = tier.db
  await systemSql.query(FILL, [demo.tenantId, demo.campaignId])
  await systemSql.query(FILL_SUPPRESSIONS, [demo.tenantId])
  await systemSql.query(FILL_TEMPLATES, [demo.tenantId])
  await systemSql.query(FILL_MAILBOXES, [demo.tenantId, demo.companyId])
  const owner = new pg.Client({ connectionString: tier.databases[0]?.ownerUrl })
  await owner.connect()
  await owner.query('ANALYZE leads, campaign_enrollments, suppressions, templates, domains, email_accounts')
  await owner.end()
}, 120_000)
afterAll(() => tier?.stop())

const ask = makeAsk(
  () => tier,
  () => demo,
  'viewer',
)
const TABLES = `relname IN ('leads', 'campaign_enrollments', 'suppressions', 'templates', 'domains', 'email_accounts')`

/** Whole-table scans and rows read by way of indexes, of the big tables, so far. */
async function readings() {
  await runAsTenant(demo.tenantId, () => tier.db.tenantSql.query('SELECT pg_stat_force_next_flush()'))
  const { rows } = await tier.db.systemSql.query(`
    SELECT (SELECT sum(seq_scan)::int FROM pg_stat_user_tables WHERE ${TABLES}) AS scans,
           (SELECT sum(idx_tup_read)::int FROM pg_stat_user_indexes WHERE ${TABLES}) AS read`)
  return rows[0] as { scans: number; read: number }
}

const page = '{ nodes { id } pageInfo { endCursor } }'
const LISTS: Record<string, string> = {
  'leads in a campaign': `campaignLeads(campaignId: "CAMPAIGN") ${page}`,
  'leads in a campaign, of a state': `campaignLeads(campaignId: "CAMPAIGN", filter: { status: REPLIED }) ${page}`,
  suppressions: `suppressions ${page}`,
  'suppressions of an address': `suppressions(filter: { email: "500@s.example" }) { nodes { id } }`,
  'suppressions of a domain': `suppressions(filter: { domain: "501.example" }) { nodes { id } }`,
  templates: `templates ${page}`,
  'templates of a folder': `templates(filter: { folder: "rare" }) ${page}`,
  domains: `domains ${page}`,
  'domains of a company': `domains(filter: { companyId: "COMPANY" }) ${page}`,
  mailboxes: `emailAccounts ${page}`,
  'mailboxes of a state': `emailAccounts(filter: { status: SUSPENDED }) ${page}`,
  'mailboxes of a domain': `emailAccounts(filter: { domainId: "DOMAIN" }) { nodes { id } }`,
}

describe('a page is read from an index, no matter how many there are', () => {
  test.each(Object.keys(LISTS))('%s', async (name) => {
    const field = (LISTS[name] ?? '')
      .replace('CAMPAIGN', demo.campaignId)
      .replace('COMPANY', demo.companyId)
      .replace('DOMAIN', demo.domainId)
    // Other connections report what they read before whenever they like: what a list itself reads it reads each time.
    const read = async (asked: string, attempts = 4): Promise<Awaited<ReturnType<typeof ask>>['value']> => {
      const before = await readings()
      const { value, code } = await ask(`{ ${asked} }`)
      expect(code).toBeUndefined()
      const after = await readings()
      const cost = { scans: after.scans - before.scans, rowsRead: after.read - before.read < 200 }
      if (attempts > 1 && (cost.scans > 0 || !cost.rowsRead)) return read(asked, attempts - 1)
      expect(cost).toEqual({ scans: 0, rowsRead: true })
      return value
    }
    const first = await read(field)
    expect(first.nodes.length).toBeGreaterThan(0)
    if (!first.pageInfo) return
    expect(first.nodes).toHaveLength(20)
    const after = `after: "${first.pageInfo.endCursor}"`
    const [fieldName = ''] = /^\w+/.exec(field) ?? []
    const next = field.startsWith(`${fieldName}(`)
      ? field.replace('(', `(${after}, `)
      : field.replace(fieldName, `${fieldName}(${after})`)
    expect((await read(next)).nodes).toHaveLength(20)
  })
})

describe('a hundred with everything in them cost the statements that one costs', () => {
  const COUNTED: Record<string, string> = {
    templates: '{ templates(first: 100) { nodes { id usedBy { id campaign { name } } } } }',
    domains: `{ domains(first: 100) { nodes { id company { name } emailAccounts(first: 2) { nodes { email } totalCount }
      ipAssignments { nodes { status smtpIpAddress { ipAddress } } } } } }`,
    emailAccounts: '{ emailAccounts(first: 100) { nodes { id smtp { host } domain { domain company { name } } } } }',
    suppressions: '{ suppressions(first: 100) { nodes { id company { name } sourceMessage { subject } } totalCount } }',
  }

  async function statementsOf(query: string, workspace: Workspace): Promise<number> {
    const { result, statements } = await tier.db.statements.during(() => ask(query, {}, workspace))
    expect(result.code).toBeUndefined()
    return statements.filter((text) => !/outbox_events|set_config/.test(text)).length
  }

  test.each(Object.keys(COUNTED))('%s', async (name) => {
    const query = COUNTED[name] ?? ''
    const one = await statementsOf(query, rival)
    expect(await statementsOf(query, demo)).toBeLessThanOrEqual(Math.max(one, 2))
    expect(one).toBeLessThanOrEqual(8)
  })
})

test("another tenant's pages hold nothing of it, and cost none of its rows", async () => {
  const before = await readings()
  const query = `query ($id: ID!) { campaignLeads(campaignId: $id) { nodes { id } } }`
  expect((await ask(query, { id: demo.campaignId }, rival)).value).toBeNull()
  expect((await ask('{ suppressions(filter: { reason: MANUAL }) { nodes { id } } }', {}, rival)).value.nodes).toEqual(
    [],
  )
  expect((await ask('{ templates(filter: { folder: "rare" }) { nodes { id } } }', {}, rival)).value.nodes).toEqual([])
  expect(
    (await ask('{ emailAccounts(filter: { status: SUSPENDED }) { nodes { id } } }', {}, rival)).value.nodes,
  ).toEqual([])
  expect((await readings()).read - before.read).toBeLessThan(40)
})
