import type pg from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'
import { PLATFORM_TENANT } from '#platform/database/tenantScope.ts'
import { daysAgo, type Plan } from './seedTenant.ts'

/** Connections as the system role of each tier, which may write any tenant's rows. */
export type Systems = Record<Tier, pg.Client>

type Row = Record<string, unknown>

/** Rows of a tenant in the tables that nothing writes yet, and of kinds that the mail flow does not leave behind. */
export async function writeRows(systems: Systems, plan: Plan): Promise<void> {
  const { slug, tenantId, userId } = plan
  const { rows } = await systems.content.query('SELECT storage_key FROM attachments WHERE tenant_id = $1', [tenantId])
  const storageKey = rows[0].storage_key
  const own = { tenant_id: tenantId, id: uuidv7() }
  const { serverId, addressId, domainId, mailboxId } = plan

  const oltp = writer(systems.oltp)
  await oltp('suppressions', {
    ...own,
    email: `never@${slug}.example`,
    reason: 'manual',
    source_message_id: plan.messageId,
  })
  const company = { scope: 'company', company_id: plan.companyId }
  await oltp('suppressions', { ...own, id: uuidv7(), domain: `no-${slug}.example`, reason: 'manual', ...company })

  await oltp('sending_budgets', {
    tenant_id: tenantId,
    scope: 'mailbox',
    scope_id: mailboxId,
    day: daysAgo(0),
    reserved: 3,
  })
  await oltp('imap_cursors', { tenant_id: tenantId, email_account_id: mailboxId, last_uid: 5 })
  const fileKey = `lead-export/${slug} file`
  const list = { ...own, content_storage_key: fileKey }
  await oltp('lead_imports', { ...list, file_name: `${slug} leads.csv`, status: 'running', error_count: 1 })
  const refused = { code: 'invalid_email', message: 'is not an address', row_text: `${slug} nobody` }
  await oltp('lead_import_errors', { tenant_id: tenantId, lead_import_id: own.id, row_number: 1, ...refused })
  await oltp('lead_exports', { ...list, status: 'completed', row_count: 3, filter: { search: `${slug} search` } })

  const content = writer(systems.content)
  const file = { tenant_id: tenantId, storage_key: fileKey }
  await content('stored_files', {
    ...{ ...file, filename: `${slug} leads out.csv`, mime_type: 'text/csv', state: 'complete', part_count: 1 },
    ...{ size_bytes: 9, keep_days: 7, expires_at: daysAgo(-7), completed_at: daysAgo(0) },
  })
  const part = { position: 0, key_version: 1, codec: 'identity', cipher: 'aes_256_gcm', raw_size_bytes: 9 }
  await content('stored_file_parts', {
    ...{ ...file, ...part, stored_size_bytes: 5, hash: Buffer.alloc(32, slug), bytes: Buffer.from(slug) },
  })
  await content('compression_dictionaries', {
    ...own,
    codec: 'zstd',
    source: 'tenant',
    bytes: Buffer.from(slug),
    size_bytes: 5,
  })
  await content('uploads', {
    ...{ ...own, user_id: userId, filename: `${slug} upload.pdf`, expected_mime_type: 'application/pdf' },
    ...{ expected_size_bytes: 9, expires_at: daysAgo(-1), storage_key: storageKey },
  })
  await content('transactional_emails', {
    ...{ ...own, user_id: userId, type: 'invoice_ready', recipient_email: `bill@${slug}.example` },
    ...{ subject: `${slug} invoice`, content_storage_key: storageKey },
  })
  await content('notification_preferences', {
    ...own,
    user_id: userId,
    notification_type: `${slug}_news`,
    channel: 'email',
  })
  await content('retention_policies', { ...own, content_type: 'email', retention_days: 30 })
  await content('content_access_log', {
    ...{ ...own, storage_key: storageKey, user_id: userId, access_type: 'download', user_agent: `${slug} browser` },
  })

  const analytics = writer(systems.analytics)
  const day = { tenant_id: tenantId, local_day: daysAgo(20).slice(0, 10), sent: 5 }
  await analytics('warmup_analytics', { ...day, email_account_id: mailboxId, planned_volume: 40 })
  await analytics('infrastructure_analytics', { ...day, entity_type: 'smtp_ip_address', entity_id: addressId })
  await analytics('infrastructure_analytics', { ...day, entity_type: 'vps_instance', entity_id: serverId })
  const asPlatform = { ...day, tenant_id: PLATFORM_TENANT, sent: 50, load_percentage: 60 }
  await analytics('infrastructure_analytics', { ...asPlatform, entity_type: 'domain', entity_id: domainId })
  await analytics('billing_analytics', {
    ...{ tenant_id: tenantId, subscription_id: plan.subscriptionId, emails_sent: 3 },
    ...{ period_start_at: daysAgo(10), period_end_at: daysAgo(-20) },
  })
  await analytics('analytics_archives', {
    ...{
      ...own,
      source_table: 'email_events',
      partition_name: `${slug}_2020_01`,
      file_path: `${slug}/2020-01.parquet`,
    },
    ...{
      range_start_at: daysAgo(700),
      range_end_at: daysAgo(670),
      row_count: 1,
      size_bytes: 1,
      checksum: '0'.repeat(64),
    },
  })
  await writeJobs(writer(systems.queue), plan, storageKey, own.id)
}

/** Has the campaign send on, which has ended since its only lead has left it. */
export async function restartCampaign(systems: Systems, { tenantId }: Plan): Promise<void> {
  const restart = `UPDATE campaigns SET status = 'sending', completed_at = NULL WHERE tenant_id = $1 AND status = 'completed'`
  await systems.oltp.query(restart, [tenantId])
  // Its line in the planner's agenda; not for now.
  await systems.oltp.query(
    `INSERT INTO campaign_agenda (tenant_id, campaign_id, next_plan_at)
     SELECT tenant_id, id, $2 FROM campaigns WHERE tenant_id = $1
     ON CONFLICT (tenant_id, campaign_id) DO UPDATE SET next_plan_at = excluded.next_plan_at`,
    [tenantId, daysAgo(-300)],
  )
}

/** Rows that hold up the counting of events, so they come when that is done. */
export async function writeLateRows(systems: Systems, { slug, tenantId }: Plan): Promise<void> {
  const event = { tenant_id: tenantId, id: uuidv7(), aggregate_type: 'Campaign', aggregate_id: `${slug} aggregate` }
  const held = {
    ...event,
    event_type: 'campaign.launched',
    payload: { secret: `${slug} payload` },
    parked_at: daysAgo(0),
  }
  const answered = {
    tenant_id: tenantId,
    key: `${slug} late key`,
    request_hash: `${slug} hash`,
    expires_at: daysAgo(-1),
  }
  for (const tier of TIERS) {
    await writer(systems[tier])('outbox_events', held)
    await writer(systems[tier])('idempotency_keys', answered)
  }
}

/** An alert, which is the platform's, and that it fired. */
export async function writeAlert(systems: Systems): Promise<void> {
  const write = writer(systems.queue)
  const alert = { id: uuidv7(), name: 'too many', alert_type: 'high_pending', threshold: 10 }
  await write('queue_alerts', alert)
  await write('queue_alert_history', { id: uuidv7(), alert_id: alert.id, value: 11, message: 'too many wait' })
}

async function writeJobs(write: Write, plan: Plan, storageKey: string, transactionalEmailId: string): Promise<void> {
  const { slug, tenantId, campaignId, domainId, addressId, serverId } = plan
  const job = {
    ...{ tenant_id: tenantId, queue_name: 'infrastructure-monitoring', job_type: 'checkReputation' },
    ...{ payload: { of: `${slug} job` }, correlation_id: `${slug} correlation`, run_at: daysAgo(-30), is_due: false },
  }
  const subjects: [string, string][] = [
    ['Domain', domainId],
    ['SmtpIpAddress', addressId],
    ['VpsInstance', serverId],
    ['TransactionalEmail', transactionalEmailId],
    ['ContentObject', storageKey],
  ]
  for (const [subject_typename, subject_id] of subjects)
    await write('jobs', { ...job, id: uuidv7(), subject_typename, subject_id })
  await write('jobs', { ...job, id: uuidv7(), campaign_id: campaignId })
  const failed = { ...job, id: uuidv7(), status: 'failed', failed_at: daysAgo(0), campaign_id: campaignId }
  const reason = `${slug} would not answer`
  await write('jobs', { ...failed, subject_typename: 'Campaign', subject_id: campaignId, last_error_message: reason })
  const key = { tenant_id: tenantId, queue_name: job.queue_name, key: `${slug} unique key`, job_id: failed.id }
  await write('unique_job_keys', key)
  await write('job_logs', {
    tenant_id: tenantId,
    job_id: failed.id,
    attempt_number: 1,
    log_level: 'error',
    message: reason,
  })
  await write('dead_letter_jobs', {
    ...{ tenant_id: tenantId, id: uuidv7(), job_id: failed.id, queue_name: job.queue_name, job_type: job.job_type },
    ...{ payload: job.payload, final_attempt: 3, failure_reason: reason, error_fingerprint: `${slug} fingerprint` },
    accepted_at: daysAgo(0),
  })
  await write('scheduled_jobs', {
    ...{
      tenant_id: tenantId,
      id: uuidv7(),
      name: `${slug} nightly`,
      queue_name: job.queue_name,
      job_type: job.job_type,
    },
    ...{ cron_expression: '0 3 * * *', is_active: false, last_job_id: failed.id },
  })
}

type Write = (table: string, row: Row) => Promise<void>

function writer(system: pg.Client): Write {
  return async (table, row) => {
    const columns = Object.keys(row)
    const places = columns.map((_, index) => `$${index + 1}`)
    await system.query(`INSERT INTO ${table} (${columns}) VALUES (${places})`, Object.values(row))
  }
}
