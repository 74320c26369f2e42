DROP TABLE lead_exports;
DROP TABLE lead_import_errors;
DROP TABLE lead_imports;
DROP TABLE imap_cursors;
DROP TABLE conversations;
DROP TABLE smtp_ip_loads;
DROP TABLE sending_budgets;
DROP INDEX inbox_message_refs_forgotten_idx;
DROP INDEX inbox_message_refs_mailbox_waiting_idx;
DROP INDEX inbox_message_refs_held_idx;
DROP INDEX inbox_message_refs_campaign_leaving_idx;
DROP INDEX inbox_message_refs_campaign_bounced_idx;
DROP INDEX inbox_message_refs_mailbox_complained_idx;
DROP INDEX inbox_message_refs_mailbox_bounced_idx;
DROP INDEX inbox_message_refs_mailbox_sent_idx;
DROP INDEX inbox_message_refs_leaving_idx;
DROP INDEX inbox_message_refs_waiting_idx;
DROP INDEX inbox_message_refs_enrollment_step_key;
ALTER TABLE inbox_message_refs
  DROP COLUMN enrollment_id, DROP COLUMN smtp_ip_address_id, DROP COLUMN scheduled_at, DROP COLUMN sending_started_at, DROP COLUMN sending_job_id,
  DROP COLUMN accept_window_at, DROP COLUMN send_attempts, DROP COLUMN smtp_response, DROP COLUMN failed_at,
  DROP COLUMN failure_reason, DROP COLUMN human_opened_at, DROP COLUMN unsubscribed_at, DROP COLUMN complained_at;
DROP INDEX campaign_enrollments_due_idx;
CREATE INDEX campaign_enrollments_tenant_id_next_run_at_idx
  ON campaign_enrollments (tenant_id, next_run_at) WHERE (status = 'active'::text);
ALTER TABLE campaign_enrollments
  DROP COLUMN email_account_id, DROP COLUMN stop_reason, DROP COLUMN ended_at, DROP COLUMN version;
DROP TABLE campaign_agenda;
ALTER TABLE campaigns DROP COLUMN paused_at;
ALTER TABLE email_accounts DROP COLUMN paused_at;
ALTER TABLE domains DROP COLUMN dkim_selector, DROP COLUMN dkim_vault_key_path;
