import type { Tier } from '#platform/contracts/tiers.ts'

/** What an id, or another text that finds something, stands for. */
export type Kind = keyof typeof SOURCES

type Source = { tier: Tier; sql: string }

/** Where a tenant ($1) has ids of a kind; the first row serves. */
const SOURCES = {
  Tenant: oltp('SELECT id AS value FROM tenants WHERE id = $1'),
  User: oltp('SELECT user_id AS value FROM tenant_users WHERE tenant_id = $1'),
  Company: oltp('SELECT id AS value FROM companies WHERE tenant_id = $1'),
  Domain: oltp('SELECT id AS value FROM domains WHERE tenant_id = $1'),
  EmailAccount: oltp('SELECT id AS value FROM email_accounts WHERE tenant_id = $1'),
  Lead: oltp('SELECT id AS value FROM leads WHERE tenant_id = $1'),
  LeadStats: oltp('SELECT id AS value FROM tenants WHERE id = $1'),
  LeadImport: oltp('SELECT id AS value FROM lead_imports WHERE tenant_id = $1'),
  LeadExport: oltp('SELECT id AS value FROM lead_exports WHERE tenant_id = $1'),
  Template: oltp('SELECT id AS value FROM templates WHERE tenant_id = $1'),
  Campaign: oltp('SELECT campaign_id AS value FROM campaign_sequence_steps WHERE tenant_id = $1'),
  CampaignPreflight: oltp('SELECT campaign_id AS value FROM campaign_sequence_steps WHERE tenant_id = $1'),
  CampaignSequenceStep: oltp('SELECT id AS value FROM campaign_sequence_steps WHERE tenant_id = $1'),
  CampaignEnrollment: oltp('SELECT id AS value FROM campaign_enrollments WHERE tenant_id = $1'),
  InboxMessageRef:
    oltp(`SELECT thread_id AS value FROM inbox_message_refs WHERE tenant_id = $1 AND direction = 'inbound'
    AND parent_message_id IS NOT NULL`),
  Conversation: oltp('SELECT thread_id AS value FROM conversations WHERE tenant_id = $1 AND lead_id IS NOT NULL'),
  SmtpIpAddress: oltp('SELECT smtp_ip_address_id AS value FROM domain_ip_assignments WHERE tenant_id = $1'),
  VpsInstance: oltp(`SELECT vps_instance_id AS value FROM domain_ip_assignments a
    JOIN smtp_ip_addresses s ON s.id = a.smtp_ip_address_id WHERE a.tenant_id = $1`),
  ContentObject: content('SELECT storage_key AS value FROM attachments WHERE tenant_id = $1'),
  Attachment: content('SELECT id AS value FROM attachments WHERE tenant_id = $1'),
  Upload: content('SELECT id AS value FROM uploads WHERE tenant_id = $1'),
  StoredFile: content('SELECT storage_key AS value FROM stored_files WHERE tenant_id = $1'),
  Notification: content('SELECT id AS value FROM notifications WHERE tenant_id = $1 AND deleted_at IS NULL'),
  TransactionalEmail: content('SELECT id AS value FROM transactional_emails WHERE tenant_id = $1'),
  AuditEntry: analytics(`SELECT event_id AS value FROM admin_audit_log WHERE tenant_id = $1`),
  Job: queue('SELECT job_id AS value FROM dead_letter_jobs WHERE tenant_id = $1'),
  DeadLetter: queue('SELECT id AS value FROM dead_letter_jobs WHERE tenant_id = $1'),
  OutboxEvent: queue('SELECT id AS value FROM outbox_events WHERE tenant_id = $1 AND parked_at IS NOT NULL'),
  ScheduledJob: queue('SELECT id AS value FROM scheduled_jobs WHERE tenant_id = $1'),
  QueueAlert: queue('SELECT alert_id AS value FROM queue_alert_history WHERE $1::uuid IS NOT NULL'),
  QueueAlertFiring: queue('SELECT id AS value FROM queue_alert_history WHERE $1::uuid IS NOT NULL'),
  'Campaign.name': oltp(`SELECT name AS value FROM campaigns WHERE tenant_id = $1 AND status = 'sending'`),
  'Suppression.email': oltp('SELECT email AS value FROM suppressions WHERE tenant_id = $1 AND email IS NOT NULL'),
  'Lead.email': oltp('SELECT email AS value FROM leads WHERE tenant_id = $1'),
  'Template.name': oltp('SELECT name AS value FROM templates WHERE tenant_id = $1'),
  'Template.folder': oltp('SELECT folder AS value FROM templates WHERE tenant_id = $1'),
  'Template.tag': oltp('SELECT tags[1] AS value FROM templates WHERE tenant_id = $1'),
  'EmailAccount.email': oltp('SELECT email AS value FROM email_accounts WHERE tenant_id = $1'),
  'InboxMessageRef.fromEmail': oltp(`SELECT from_email AS value FROM inbox_message_refs WHERE tenant_id = $1
    AND direction = 'inbound'`),
  'InboxMessageRef.subject': oltp(`SELECT subject AS value FROM inbox_message_refs WHERE tenant_id = $1
    AND direction = 'outbound'`),
  'Conversation.subjectKey': oltp(`SELECT subject_key AS value FROM conversations WHERE tenant_id = $1
    AND lead_id IS NOT NULL`),
  'Job.correlationId': queue(
    `SELECT correlation_id AS value FROM jobs WHERE tenant_id = $1 AND correlation_id IS NOT NULL AND status = 'failed'`,
  ),
  'AuditEntry.resourceId': analytics(`SELECT resource_id AS value FROM admin_audit_log WHERE tenant_id = $1
    AND resource_type = 'Campaign'`),
  'DeadLetter.errorFingerprint': queue('SELECT error_fingerprint AS value FROM dead_letter_jobs WHERE tenant_id = $1'),
} satisfies Record<string, Source>

/** Kinds by the name of an argument or input field, wherever it stands. */
const BY_NAME: Record<string, Kind> = {
  tenantId: 'Tenant',
  userId: 'User',
  companyId: 'Company',
  domainId: 'Domain',
  emailAccountId: 'EmailAccount',
  leadId: 'Lead',
  leadIds: 'Lead',
  templateId: 'Template',
  campaignId: 'Campaign',
  stepId: 'CampaignSequenceStep',
  enrollmentId: 'CampaignEnrollment',
  stepIds: 'CampaignSequenceStep',
  messageId: 'InboxMessageRef',
  threadId: 'InboxMessageRef',
  conversationId: 'Conversation',
  vpsInstanceId: 'VpsInstance',
  smtpIpAddressId: 'SmtpIpAddress',
  storageKey: 'ContentObject',
  uploadId: 'Upload',
  importId: 'LeadImport',
  exportId: 'LeadExport',
  attachmentId: 'Attachment',
  jobId: 'Job',
  alertId: 'QueueAlert',
}

/** Kinds of those whose name does not say it, and of texts that find things as ids do. */
const BY_COORDINATE: Record<string, Kind> = {
  'Query.mailboxAnalytics.ids': 'EmailAccount',
  'Query.warmupAnalytics.ids': 'EmailAccount',
  'Query.leadAnalytics.ids': 'Lead',
  'Query.infrastructureAnalytics.ids': 'Domain',
  'Query.smtpIp.id': 'SmtpIpAddress',
  'Query.importJob.id': 'LeadImport',
  'Query.exportJob.id': 'LeadExport',
  'Query.storedFilePart.storageKey': 'StoredFile',
  'WriteFilePartInput.storageKey': 'StoredFile',
  'CompleteFileInput.storageKey': 'StoredFile',
  'FinishLeadExportInput.storageKey': 'StoredFile',
  'FinalizeUploadInput.id': 'Upload',
  'CancelImportInput.id': 'LeadImport',
  'DeadLetterFilter.ids': 'DeadLetter',
  'DeadLetterFilter.errorFingerprint': 'DeadLetter.errorFingerprint',
  'AuditLogFilter.resourceId': 'AuditEntry.resourceId',
  'MarkConversationsReadInput.ids': 'Conversation',
  'StarConversationInput.ids': 'Conversation',
  'ArchiveConversationInput.ids': 'Conversation',
  'MarkMessagesReadInput.ids': 'InboxMessageRef',
  'MarkNotificationsReadInput.ids': 'Notification',
  'CampaignActionInput.id': 'Campaign',
  'JobActionInput.id': 'Job',
  'ReprioritizeJobInput.id': 'Job',
  'UnparkOutboxEventInput.id': 'OutboxEvent',
  'ResolveDeadLetterInput.id': 'DeadLetter',
  'ScheduledJobActionInput.id': 'ScheduledJob',
  'UpdateScheduledJobInput.id': 'ScheduledJob',
  'UpdateQueueAlertInput.id': 'QueueAlert',
  'AcknowledgeAlertInput.id': 'QueueAlertFiring',
  'JobFilter.correlationId': 'Job.correlationId',
  'CampaignFilter.search': 'Campaign.name',
  'LeadFilter.search': 'Lead.email',
  'TemplateFilter.search': 'Template.name',
  'TemplateFilter.folder': 'Template.folder',
  'SuppressionFilter.email': 'Suppression.email',
  'TemplateFilter.tag': 'Template.tag',
  'EmailAccountFilter.search': 'EmailAccount.email',
  'MessageFilter.search': 'InboxMessageRef.subject',
  'MessageFilter.fromEmail': 'InboxMessageRef.fromEmail',
  'ConversationFilter.correspondent': 'InboxMessageRef.fromEmail',
  'ConversationFilter.search': 'Conversation.subjectKey',
}

/** What has to stand beside some of them in the same input, or must not. */
export const BESIDE: Record<string, object> = {
  'ImportLeadsInput.uploadId': { csv: undefined },
  'SendTestInput.stepId': { templateId: undefined },
  'AuditLogFilter.resourceId': { resourceType: 'Campaign' },
  'PreviewTemplateInput.leadId': { subject: 'Hello', bodyText: '{{ lead.email }}' },
  'PreviewTemplateInput.emailAccountId': { subject: 'Hello', bodyText: '{{ sender.email }}' },
}

/** Which kind an argument takes; null when nothing says so: then it has to be added here. */
export function findKind(coordinate: string, returnedType: string): Kind | null {
  const byCoordinate = BY_COORDINATE[coordinate]
  if (byCoordinate) return byCoordinate
  const name = coordinate.split('.').at(-1) ?? ''
  if (name === 'id' && coordinate.startsWith('Query.') && returnedType in SOURCES) return returnedType as Kind
  return BY_NAME[name] ?? null
}

/** Kind of an entity, by its type's name; null for a new one, which has to be added here. */
export function findEntityKind(typename: string): Kind | null {
  return typename in SOURCES ? (typename as Kind) : null
}

/** Whether things of a kind are the platform's own: no tenant has any, and staff alone may name them. */
export function isOfPlatform(kind: Kind): boolean {
  return kind === 'QueueAlert' || kind === 'QueueAlertFiring'
}

/** Entities whose owner shows them to staff alone; the others add to them what a tenant may see. */
export const STAFF_ENTITIES: ReadonlySet<string> = new Set(['VpsInstance'])

export const KINDS = Object.keys(SOURCES) as Kind[]

/** Where tenants have it. */
export function sourceOf(kind: Kind): Source {
  return SOURCES[kind]
}

function oltp(sql: string): Source {
  return { tier: 'oltp', sql }
}
function content(sql: string): Source {
  return { tier: 'content', sql }
}
function analytics(sql: string): Source {
  return { tier: 'analytics', sql }
}
function queue(sql: string): Source {
  return { tier: 'queue', sql }
}
