-- Whoever has something for the planner writes it into the agenda, as the last thing of its transaction, and nowhere else:
-- a campaign is not held for it. Which calls came while a plan was made is told by their number.
DROP TRIGGER keep_campaign_agenda ON campaigns;
DROP FUNCTION keep_campaign_agenda;
ALTER TABLE campaigns DROP COLUMN next_plan_at;
DROP INDEX campaign_agenda_next_plan_at_idx;
ALTER TABLE campaign_agenda ALTER COLUMN next_plan_at DROP NOT NULL, ADD COLUMN wake_count integer NOT NULL DEFAULT 0;
-- Serves the planner: what is due, of all tenants.
CREATE INDEX campaign_agenda_next_plan_at_idx ON campaign_agenda (next_plan_at) WHERE (next_plan_at IS NOT NULL);
SELECT make_tenant_table('campaign_agenda');

-- Who may take over a mail that is being sent: the job that began to send it.
ALTER TABLE inbox_message_refs ADD COLUMN sending_job_id uuid;
-- Serves campaigns that may be completed: mail of theirs that is just leaving.
CREATE INDEX inbox_message_refs_campaign_leaving_idx ON inbox_message_refs (tenant_id, campaign_id)
  WHERE (status = 'sending'::text);
-- Serves the planner: mail that waits for a new time.
CREATE INDEX inbox_message_refs_held_idx ON inbox_message_refs (tenant_id, campaign_id, scheduled_at)
  WHERE (status = 'queued'::text AND queued_at IS NULL);
-- Serves mailboxes that are deleted: mail of theirs that has not left.
CREATE INDEX inbox_message_refs_mailbox_waiting_idx ON inbox_message_refs (tenant_id, email_account_id)
  WHERE (status = 'queued'::text);
-- Serves replies and test mails that their job forgot, of all tenants.
CREATE INDEX inbox_message_refs_forgotten_idx ON inbox_message_refs (scheduled_at)
  WHERE (status = 'queued'::text AND campaign_id IS NULL);
