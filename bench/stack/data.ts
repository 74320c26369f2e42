import pg from 'pg'
import { DEMO_OWNERS, DEMO_TENANTS } from '#platform/contracts/demo.ts'
import { TIERS } from '#platform/contracts/tiers.ts'
import type { TenantPlan } from '../../cli/demo/plan.ts'
import { seedPlans } from '../../cli/demo/seedDemo.ts'
import type { OurStack } from './ours.ts'

const TENANT = DEMO_TENANTS.demo

/** About 3,000 mails: sent ones, and real ones of the corpus that came in. */
const PLAN: TenantPlan = {
  tenantId: TENANT,
  slug: 'demo',
  name: 'Demo Outreach',
  timezone: 'Europe/Berlin',
  owner: DEMO_OWNERS.demo,
  seed: 1,
  size: { leads: 200, campaigns: 40, sentPerCampaign: 55, repliesPerCampaign: 10, corpusMails: 400 },
}

const MORE_LEADS = `
  INSERT INTO leads (tenant_id, id, email, name, company, status, created_at)
  SELECT $1, gen_random_uuid(), 'lead' || n || '@company' || n % 700 || '.example', 'Lead ' || n, 'Company ' || n % 700,
    'new', now() - n * interval '20 minutes' FROM generate_series(1, 3000) AS n`

const NOTIFICATIONS = `
  INSERT INTO notifications (tenant_id, id, delivery_key, user_id, type, title, message, priority, is_read, read_at, created_at)
  SELECT $1, gen_random_uuid(), 'bench/' || n, $2, 'campaign_completed', 'Campaign ' || n || ' is done',
    'All of its mails were sent.', CASE WHEN n % 9 = 0 THEN 'high' ELSE 'normal' END, n > 7,
    CASE WHEN n > 7 THEN now() END, now() - n * interval '3 hours'
  FROM generate_series(1, 300) AS n`

/** What the operations ask for. */
export type Chosen = { campaignIds: string[]; mailboxIds: string[]; messageIds: string[] }

/** Fills the demo tenant: campaigns and mail through the product's own doors, counted by the worker; the rest at once. */
export async function fillTenant(ours: OurStack, onProgress: (message: string) => void): Promise<Chosen> {
  await seedPlans([PLAN], { env: ours.cli, onProgress })
  await ours.stopWorker()
  await inDatabase(ours.systemUrl('oltp'), (client) => client.query(MORE_LEADS, [TENANT]))
  await inDatabase(ours.systemUrl('content'), (client) => client.query(NOTIFICATIONS, [TENANT, DEMO_OWNERS.demo.id]))
  // As autovacuum leaves them.
  for (const tier of TIERS) await inDatabase(ours.ownerUrl(tier), (client) => client.query('VACUUM (ANALYZE)'))
  return inDatabase(ours.systemUrl('oltp'), chooseIds)
}

async function chooseIds(client: pg.Client): Promise<Chosen> {
  const ids = async (sql: string) => (await client.query<{ id: string }>(sql, [TENANT])).rows.map(({ id }) => id)
  return {
    campaignIds: await ids('SELECT id FROM campaigns WHERE tenant_id = $1 AND deleted_at IS NULL ORDER BY id'),
    mailboxIds: await ids('SELECT id FROM email_accounts WHERE tenant_id = $1 ORDER BY id'),
    messageIds: await ids(`SELECT id FROM inbox_message_refs WHERE tenant_id = $1 AND has_attachments
      UNION ALL (SELECT id FROM inbox_message_refs WHERE tenant_id = $1 ORDER BY created_at DESC, id LIMIT 400)`),
  }
}

async function inDatabase<Result>(url: string, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
