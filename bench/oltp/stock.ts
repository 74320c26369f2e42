import { createHash } from 'node:crypto'
import type pg from 'pg'

/** Of a tenant's rows: where it stands among the tenants, and how many messages it has. */
export type StockedTenant = { tenantId: string; number: number; refs: number }

export type StockOptions = {
  tenants: number
  refs: number
  /** Told how many messages are there so far. */
  onProgress?: (refs: number) => void
}

const REFS_OF_A_CAMPAIGN = 20
const MAILBOXES = 20
const SERVERS = 200
const ADDRESSES = 2_000

/** The id of the n-th thing of its kind; SQL makes the same by `md5(…)::uuid`. */
export function stockId({ number }: Pick<StockedTenant, 'number'>, kind: string, n: number): string {
  return idOf(`${kind}/${number}/${n}`)
}

/** The id of the n-th thing of its kind that is the platform's own. */
export function platformId(kind: string, n: number): string {
  return idOf(`${kind}/${n}`)
}

function idOf(name: string): string {
  const hex = createHash('md5').update(name).digest('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

const id = (kind: string, n: string) => `md5('${kind}/' || $2::int || '/' || (${n}))::uuid`
const series = (count: string) => `generate_series(0, (${count}) - 1) AS n`
const campaigns = `greatest(50, $3::int / ${REFS_OF_A_CAMPAIGN})`
const leads = 'greatest(50, $3::int / 4)'
/** Of 90 days, the newest last. */
const createdAt = (n: string, of: string) => `now() - (${of} - ${n}) * (interval '90 days' / ${of})`
const refs = '$3::int'
const templates = 'greatest(400, $3::int / 40)'
const suppressions = 'greatest(50, $3::int / 50)'

/**
 * One tenant: $1 its id, $2 its number, $3 how many messages. A tenth are answers, each in a thread with the mail it
 * answers (of which the database makes a conversation); a quarter of the leads are in the first campaign; of everything that lists filter by, most rows are of the common kind and one in fifty or so of the rare.
 */
const STATEMENTS = [
  `INSERT INTO tenants (id, name, slug) SELECT $1, 'Tenant ' || $2::int, 'stock-' || $2::int WHERE $3::int > 0`,
  `INSERT INTO companies (tenant_id, id, name) SELECT $1, ${id('company', 'n')}, 'Company ' || n FROM ${series('5')} WHERE $3::int > 0`,
  `INSERT INTO domains (tenant_id, id, company_id, domain, verification_status, verified_at)
   SELECT $1, ${id('domain', 'n')}, ${id('company', 'n % 5')}, n || '.stock-' || $2::int || '.example', 'verified', now()
   FROM ${series('10')} WHERE $3::int > 0`,
  `INSERT INTO domain_ip_assignments (tenant_id, id, domain_id, smtp_ip_address_id, status, created_at)
   SELECT $1, ${id('assignment', 'n')}, ${id('domain', 'n % 10')}, md5('address/' || (10 * $2::int + n) % ${ADDRESSES})::uuid,
     CASE WHEN n < 10 THEN 'active' ELSE 'expired' END, now() - n * interval '1 day'
   FROM ${series('50')} WHERE $3::int > 0`,
  `INSERT INTO users (id, email, name) SELECT ${id('user', 'n')}, n || '@team-' || $2::int || '.example', 'User ' || n
   FROM ${series('50')} WHERE $1::uuid IS NOT NULL AND $3::int > 0`,
  `INSERT INTO tenant_users (tenant_id, user_id, email, roles, created_at)
   SELECT $1, ${id('user', 'n')}, n || '@team-' || $2::int || '.example', '{employee}', now() - n * interval '1 day'
   FROM ${series('50')} WHERE $3::int > 0`,
  `INSERT INTO email_accounts (tenant_id, id, domain_id, email, status)
   SELECT $1, ${id('mailbox', 'n')}, ${id('domain', 'n % 10')}, n || '@stock-' || $2::int || '.example',
     CASE WHEN n % 10 = 0 THEN 'paused' ELSE 'active' END
   FROM ${series(`${MAILBOXES}`)} WHERE $3::int > 0`,
  `INSERT INTO templates (tenant_id, id, name, subject, folder, tags, created_at)
   SELECT $1, ${id('template', 'n')}, 'Template ' || n, 'Subject ' || n, 'Folder ' || n % 10, ARRAY['tag' || n % 20],
     now() - n * interval '1 hour' FROM ${series(templates)}`,
  `INSERT INTO leads (tenant_id, id, email, name, company, status, created_at)
   SELECT $1, ${id('lead', 'n')}, 'lead' || n || '@x.example', 'Lead ' || n, 'Company ' || n % 1000,
     CASE WHEN n % 50 = 0 THEN 'replied' ELSE 'contacted' END, ${createdAt('n', leads)} FROM ${series(leads)}`,
  `INSERT INTO campaigns (tenant_id, id, company_id, name, status, archived_at, created_at, updated_at)
   SELECT $1, ${id('campaign', 'n')}, ${id('company', 'n % 5')}, 'Campaign ' || n,
     CASE WHEN n % 50 = 0 THEN 'paused' ELSE 'completed' END, CASE WHEN n % 50 = 1 THEN now() END,
     ${createdAt('n', campaigns)}, ${createdAt('n', campaigns)} FROM ${series(campaigns)}`,
  `INSERT INTO campaign_sequence_steps (tenant_id, id, campaign_id, step_order, template_id, email_account_id)
   SELECT $1, ${id('step', 'n')}, ${id('campaign', 'n / 3')}, n % 3 + 1, ${id('template', 'n % 50')},
     CASE WHEN n % 50 = 0 THEN ${id('mailbox', '0')} END FROM ${series(`3 * ${campaigns}`)}`,
  `UPDATE campaign_metrics SET sent = 500, delivered = 500, replied = replies, reply_rate = replies / 500.0
   FROM (SELECT ${id('campaign', 'n')} AS id, (n % 100)::int AS replies FROM ${series(campaigns)} WHERE n % 10 > 0) AS c
   WHERE tenant_id = $1 AND campaign_id = c.id`,
  `INSERT INTO campaign_enrollments (tenant_id, id, campaign_id, lead_id, status, created_at)
   SELECT $1, ${id('enrollment', 'n')}, ${id('campaign', `CASE WHEN n % 4 = 0 THEN 0 ELSE n % ${campaigns} END`)}, ${id('lead', 'n')},
     CASE WHEN n % 50 = 0 THEN 'replied' ELSE 'completed' END, ${createdAt('n', leads)} FROM ${series(leads)}`,
  `INSERT INTO inbox_message_refs (tenant_id, id, email_account_id, campaign_id, step_id, lead_id, thread_id, direction,
     message_type, status, from_email, to_email, subject, dedup_key, content_storage_key, rfc822_message_id, is_read, is_starred,
     is_archived, has_attachments, sent_at, delivered_at, created_at)
   SELECT $1, ${id('ref', 'n')}, ${id('mailbox', `n / 10 % ${MAILBOXES}`)}, ${id('campaign', `n / 10 % ${campaigns}`)},
     ${id('step', `3 * (n / 10 % ${campaigns}) + n % 3`)}, ${id('lead', `n / 10 % ${leads}`)},
     CASE WHEN n % 10 < 2 THEN ${id('thread', 'n / 10')} ELSE ${id('single', 'n')} END,
     CASE WHEN n % 10 = 1 THEN 'inbound' ELSE 'outbound' END,
     CASE n % 500 WHEN 1 THEN 'bounce' WHEN 11 THEN 'auto_reply' ELSE 'email' END,
     CASE WHEN n % 10 = 1 THEN 'received' ELSE 'delivered' END,
     CASE WHEN n % 10 = 1 THEN 'lead' || n / 10 % ${leads} || '@x.example' ELSE 'us@stock.example' END, 'to@x.example',
     'Mail ' || n / 10, n::text, 'mail/' || n, n || '@x', n % 10 <> 1, n % 50 = 0, n % 50 = 10, n % 50 = 20,
     CASE WHEN n % 10 <> 1 THEN ${createdAt('n', refs)} END, CASE WHEN n % 10 <> 1 THEN ${createdAt('n', refs)} END,
     ${createdAt('n', refs)}
   FROM ${series(refs)}`,
  `UPDATE conversations SET is_starred = hashtext(thread_id::text) % 20 = 0, is_archived = hashtext(thread_id::text) % 20 = 1,
     unread_count = CASE WHEN hashtext(thread_id::text) % 5 = 0 THEN 1 ELSE 0 END
   WHERE tenant_id = $1 AND $2::int >= 0 AND $3::int > 0`,
  `INSERT INTO suppressions (tenant_id, id, email, domain, reason, scope, company_id, created_at)
   SELECT $1, ${id('suppression', 'n')}, CASE WHEN n % 50 <> 2 THEN 'gone' || n || '@x.example' END,
     CASE WHEN n % 50 = 2 THEN 'gone' || n || '.example' END, CASE WHEN n % 50 = 0 THEN 'complaint' ELSE 'bounce' END,
     CASE WHEN n % 50 = 1 THEN 'company' ELSE 'tenant' END, CASE WHEN n % 50 = 1 THEN ${id('company', 'n / 50 % 5')} END,
     ${createdAt('n', suppressions)} FROM ${series(suppressions)}`,
  `INSERT INTO lead_imports (tenant_id, id, file_name, content_storage_key, status)
   SELECT $1, ${id('import', 'n')}, 'list.csv', 'file/' || n, 'completed' FROM ${series('50')} WHERE $3::int > 0`,
  `INSERT INTO lead_import_errors (tenant_id, lead_import_id, row_number, code, message)
   SELECT $1, ${id('import', '0')}, n + 1, 'INVALID_EMAIL', 'no address' FROM ${series('500')} WHERE $3::int > 0`,
  `INSERT INTO lead_exports (tenant_id, id, status) SELECT $1, ${id('export', 'n')}, 'completed' FROM ${series('50')} WHERE $3::int > 0`,
]

/** What the platform rents: servers and their addresses, a fiftieth of them dedicated. */
const PLATFORM = [
  `INSERT INTO vps_instances (id, provider, provider_instance_id, region, status, created_at)
   SELECT md5('server/' || n)::uuid, 'stock', n::text, 'region-' || n % 10, CASE WHEN n % 50 = 0 THEN 'decommissioned' ELSE 'active' END,
     now() - n * interval '1 hour' FROM ${series(`${SERVERS}`)}`,
  `INSERT INTO smtp_ip_addresses (id, vps_instance_id, ip_address, pool, status, created_at)
   SELECT md5('address/' || n)::uuid, md5('server/' || n % ${SERVERS})::uuid, inet '198.18.0.0' + n,
     CASE WHEN n % 50 = 0 THEN 'dedicated' ELSE 'shared' END, CASE WHEN n % 50 = 1 THEN 'burned' ELSE 'assigned' END,
     now() - n * interval '1 minute' FROM ${series(`${ADDRESSES}`)}`,
]

/** Fills an empty oltp database, on the system role: the first tenant has a fifth of the messages, each further one less than the one before. */
export async function fillStock(system: pg.ClientBase, options: StockOptions): Promise<StockedTenant[]> {
  const { tenants, refs, onProgress = () => {} } = options
  const weights = Array.from({ length: tenants }, (_, number) => 1 / (number + 1))
  const whole = weights.reduce((sum, weight) => sum + weight)
  const stocked = weights.map((weight, number) => ({
    tenantId: stockId({ number }, 'tenant', 0),
    number,
    refs: Math.max(20, Math.round((refs * weight) / whole)),
  }))
  for (const statement of PLATFORM) await system.query(statement)
  let done = 0
  for (const tenant of stocked) {
    for (const statement of STATEMENTS) {
      await system.query(statement, [tenant.tenantId, tenant.number, tenant.refs])
    }
    done += tenant.refs
    onProgress(done)
  }
  return stocked
}
