-- Lists filtered by what is rare. Without these, a page of twenty reads a thousand rows of the common kind.

-- Serves messages with attachments.
CREATE INDEX inbox_message_refs_attachments_idx ON inbox_message_refs (tenant_id, created_at DESC, id DESC)
  WHERE has_attachments;
-- Serves suppressions of a reason.
CREATE INDEX suppressions_tenant_id_reason_created_at_id_idx ON suppressions (tenant_id, reason, created_at DESC, id DESC);
-- Serves archived campaigns.
CREATE INDEX campaigns_archived_idx ON campaigns (tenant_id, created_at DESC, id DESC)
  WHERE (deleted_at IS NULL AND archived_at IS NOT NULL);
-- Serves campaigns that send from a mailbox.
CREATE INDEX campaign_sequence_steps_tenant_id_email_account_id_campaign_idx
  ON campaign_sequence_steps (tenant_id, email_account_id, campaign_id)
  WHERE (deleted_at IS NULL AND email_account_id IS NOT NULL);
