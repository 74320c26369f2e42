/**
 * The index that serves each list: its table, columns and condition. Where an index answers for the ids alone, the rows
 * themselves are then read by their key. Lists of what a tenant has tens of (domains, mailboxes, its team) are not here:
 * PostgreSQL reads so few rows as they come.
 */
export const SERVED_BY: Record<string, readonly string[]> = {
  messages: ['inbox_message_refs (tenant_id, created_at DESC, id DESC)'],
  'messages of a mailbox': ['inbox_message_refs (tenant_id, email_account_id, created_at DESC, id DESC)'],
  'messages of a campaign': [
    'inbox_message_refs (tenant_id, campaign_id, created_at DESC, id DESC) WHERE (campaign_id IS NOT NULL)',
  ],
  'messages of a step': [
    'inbox_message_refs (tenant_id, step_id, created_at DESC, id DESC) WHERE (step_id IS NOT NULL)',
  ],
  'messages of a lead': [
    'inbox_message_refs (tenant_id, lead_id, created_at DESC, id DESC) WHERE (lead_id IS NOT NULL)',
  ],
  'messages of a thread': ['inbox_message_refs (tenant_id, thread_id, created_at DESC, id DESC)'],
  'messages of a sender': [
    'inbox_message_refs (tenant_id, from_email, created_at DESC, id DESC) WHERE (from_email IS NOT NULL)',
  ],
  'messages not read': ['inbox_message_refs (tenant_id, created_at DESC, id DESC) WHERE (NOT is_read)'],
  'messages starred': ['inbox_message_refs (tenant_id, created_at DESC, id DESC) WHERE is_starred'],
  'messages archived': ['inbox_message_refs (tenant_id, created_at DESC, id DESC) WHERE is_archived'],
  'messages with attachments': ['inbox_message_refs (tenant_id, created_at DESC, id DESC) WHERE has_attachments'],
  'messages of a week': ['inbox_message_refs (tenant_id, created_at DESC, id DESC)'],
  'messages that are bounces': [
    "inbox_message_refs (tenant_id, message_type, created_at DESC, id DESC) WHERE (message_type <> 'email'::text)",
  ],
  'messages of a state': ['inbox_message_refs (tenant_id, direction, status, created_at DESC, id DESC)'],
  'messages within a campaign': [
    'campaigns (tenant_id, id)',
    'inbox_message_refs (tenant_id, campaign_id, created_at DESC, id DESC) WHERE (campaign_id IS NOT NULL)',
    'inbox_message_refs (tenant_id, id)',
  ],
  'messages within a mailbox': [
    'inbox_message_refs (tenant_id, email_account_id, created_at DESC, id DESC)',
    'inbox_message_refs (tenant_id, id)',
  ],
  'messages within a lead': [
    'inbox_message_refs (tenant_id, id)',
    'inbox_message_refs (tenant_id, lead_id, created_at DESC, id DESC) WHERE (lead_id IS NOT NULL)',
    'leads (tenant_id, id)',
  ],
  'messages within a conversation': [
    'conversations (tenant_id, thread_id)',
    'inbox_message_refs (tenant_id, id)',
    'inbox_message_refs (tenant_id, thread_id, created_at DESC, id DESC)',
  ],
  'recent replies': [
    "inbox_message_refs (tenant_id, created_at DESC, id DESC) WHERE ((direction = 'inbound'::text) AND (message_type = 'email'::text) AND (campaign_id IS NOT NULL))",
  ],
  conversations: ['conversations (tenant_id, last_message_at DESC, thread_id DESC) WHERE (NOT is_archived)'],
  'conversations of a mailbox': ['conversations (tenant_id, email_account_id, last_message_at DESC, thread_id DESC)'],
  'conversations of a campaign': [
    'conversations (tenant_id, campaign_id, last_message_at DESC, thread_id DESC) WHERE (campaign_id IS NOT NULL)',
  ],
  'conversations of a lead': [
    'conversations (tenant_id, lead_id, last_message_at DESC, thread_id DESC) WHERE (lead_id IS NOT NULL)',
  ],
  'conversations with somebody': [
    'conversations (tenant_id, correspondent_email, last_message_at DESC, thread_id DESC) WHERE (correspondent_email IS NOT NULL)',
  ],
  'conversations not read': [
    'conversations (tenant_id, last_message_at DESC, thread_id DESC) WHERE (unread_count > 0)',
  ],
  'conversations starred': ['conversations (tenant_id, last_message_at DESC, thread_id DESC) WHERE is_starred'],
  'conversations archived': ['conversations (tenant_id, last_message_at DESC, thread_id DESC) WHERE is_archived'],
  'conversations of a week': [
    'conversations (tenant_id, last_message_at DESC, thread_id DESC) WHERE (NOT is_archived)',
  ],
  campaigns: ['campaigns (tenant_id, created_at DESC, id DESC) WHERE (deleted_at IS NULL)'],
  'campaigns of a state': ['campaigns (tenant_id, status, created_at DESC, id DESC) WHERE (deleted_at IS NULL)'],
  'campaigns of a company': ['campaigns (tenant_id, company_id, created_at DESC, id DESC) WHERE (deleted_at IS NULL)'],
  'campaigns of a week': ['campaigns (tenant_id, created_at DESC, id DESC) WHERE (deleted_at IS NULL)'],
  'campaigns archived': [
    'campaigns (tenant_id, created_at DESC, id DESC) WHERE ((deleted_at IS NULL) AND (archived_at IS NOT NULL))',
  ],
  'campaigns by name': ['campaigns (tenant_id, name, id) WHERE (deleted_at IS NULL)'],
  'campaigns by last change': ['campaigns (tenant_id, updated_at DESC, id DESC) WHERE (deleted_at IS NULL)'],
  'campaigns by reply rate': [
    'campaign_metrics (tenant_id, reply_rate DESC NULLS LAST, campaign_id DESC)',
    'campaigns (tenant_id, id)',
  ],
  'campaigns of a company, within it': [
    'campaigns (tenant_id, company_id, created_at DESC, id DESC) WHERE (deleted_at IS NULL)',
    'campaigns (tenant_id, id)',
  ],
  'leads within a campaign': [
    'campaign_enrollments (tenant_id, campaign_id, created_at DESC, id DESC)',
    'campaign_enrollments (tenant_id, id)',
    'campaigns (tenant_id, id)',
  ],
  'campaigns within a lead': [
    'campaign_enrollments (tenant_id, id)',
    'campaign_enrollments (tenant_id, lead_id, created_at DESC, id DESC)',
    'leads (tenant_id, id)',
  ],
  'leads of a campaign': [
    'campaign_enrollments (tenant_id, campaign_id, created_at DESC, id DESC)',
    'campaigns (tenant_id, id)',
  ],
  'leads of a campaign, of a state': [
    'campaign_enrollments (tenant_id, campaign_id, status, created_at DESC, id DESC)',
    'campaigns (tenant_id, id)',
  ],
  leads: ['leads (tenant_id, created_at DESC, id DESC) WHERE (deleted_at IS NULL)'],
  'leads of a state': ['leads (tenant_id, status, created_at DESC, id DESC) WHERE (deleted_at IS NULL)'],
  templates: ['templates (tenant_id, created_at DESC, id DESC) WHERE (deleted_at IS NULL)'],
  'templates of a folder': ['templates (tenant_id, folder, created_at DESC, id DESC) WHERE (deleted_at IS NULL)'],
  suppressions: ['suppressions (tenant_id, created_at DESC, id DESC)'],
  'suppressions of a reason': ['suppressions (tenant_id, reason, created_at DESC, id DESC)'],
  'suppressions of a company': [
    'suppressions (tenant_id, company_id, created_at DESC, id DESC) WHERE (company_id IS NOT NULL)',
  ],
  'suppressions of all companies': ['suppressions (tenant_id, scope, created_at DESC, id DESC)'],
  'suppressions of a week': ['suppressions (tenant_id, created_at DESC, id DESC)'],
  'suppressions of a domain': ['suppressions (tenant_id, domain) WHERE (domain IS NOT NULL)'],
  'suppressions of an address': ['suppressions (tenant_id, email, domain, scope, company_id) NULLS NOT DISTINCT'],
  'errors of an import': ['lead_import_errors (tenant_id, lead_import_id, row_number)'],
}
