-- What campaigns need to send, and mail that comes back to be read: who writes to whom and when, how much a mailbox, a
-- campaign and an address have taken on for a day, conversations, lists of leads that come and go as files.

ALTER TABLE domains ADD COLUMN dkim_selector text, ADD COLUMN dkim_vault_key_path text;
ALTER TABLE domains ADD CONSTRAINT domains_dkim_check CHECK ((dkim_selector IS NULL) = (dkim_vault_key_path IS NULL));
ALTER TABLE email_accounts ADD COLUMN paused_at timestamptz(3);

ALTER TABLE campaigns ADD COLUMN paused_at timestamptz(3);

-- Which campaigns the planner has to look at, and when. Whoever has something for it writes it here, as the last thing of
-- its transaction, and nowhere else: a campaign is not held for it. Which calls came while a plan was made is told by
-- their number.
CREATE TABLE campaign_agenda (
  tenant_id uuid NOT NULL,
  campaign_id uuid NOT NULL,
  next_plan_at timestamptz(3),
  wake_count integer NOT NULL DEFAULT 0,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT campaign_agenda_pkey PRIMARY KEY (tenant_id, campaign_id)
) WITH (fillfactor = 70);
-- Serves the planner: what is due, of all tenants.
CREATE INDEX campaign_agenda_next_plan_at_idx ON campaign_agenda (next_plan_at) WHERE (next_plan_at IS NOT NULL);
SELECT make_tenant_table('campaign_agenda');

ALTER TABLE campaign_enrollments
  ADD COLUMN email_account_id uuid,
  ADD COLUMN stop_reason text,
  ADD COLUMN ended_at timestamptz(3),
  ADD COLUMN version integer NOT NULL DEFAULT 1,
  ADD CONSTRAINT campaign_enrollments_tenant_id_email_account_id_fkey
    FOREIGN KEY (tenant_id, email_account_id) REFERENCES email_accounts (tenant_id, id);
-- Due steps are looked for campaign by campaign.
DROP INDEX campaign_enrollments_tenant_id_next_run_at_idx;
-- Serves the planner: due steps of a campaign.
CREATE INDEX campaign_enrollments_due_idx
  ON campaign_enrollments (tenant_id, campaign_id, next_run_at, id) WHERE (status = 'active'::text);

ALTER TABLE inbox_message_refs
  ADD COLUMN enrollment_id uuid,
  ADD COLUMN smtp_ip_address_id uuid,
  ADD COLUMN scheduled_at timestamptz(3),
  ADD COLUMN sending_started_at timestamptz(3),
  ADD COLUMN sending_job_id uuid,
  ADD COLUMN accept_window_at timestamptz(3),
  ADD COLUMN send_attempts integer NOT NULL DEFAULT 0,
  ADD COLUMN smtp_response text,
  ADD COLUMN failed_at timestamptz(3),
  ADD COLUMN failure_reason text,
  ADD COLUMN human_opened_at timestamptz(3),
  ADD COLUMN unsubscribed_at timestamptz(3),
  ADD COLUMN complained_at timestamptz(3),
  ADD CONSTRAINT inbox_message_refs_tenant_id_enrollment_id_fkey
    FOREIGN KEY (tenant_id, enrollment_id) REFERENCES campaign_enrollments (tenant_id, id),
  ADD CONSTRAINT inbox_message_refs_smtp_ip_address_id_fkey
    FOREIGN KEY (smtp_ip_address_id) REFERENCES smtp_ip_addresses (id);
-- Serves sending: a lead gets a step's mail once.
CREATE UNIQUE INDEX inbox_message_refs_enrollment_step_key ON inbox_message_refs (tenant_id, enrollment_id, step_id)
  WHERE (enrollment_id IS NOT NULL);
-- Serves pausing and cancelling: a campaign's mail that has not left, in the order it is to leave.
CREATE INDEX inbox_message_refs_waiting_idx ON inbox_message_refs (tenant_id, campaign_id, scheduled_at)
  WHERE (status = 'queued'::text);
-- Serves mail that began to leave and was not heard of again.
CREATE INDEX inbox_message_refs_leaving_idx ON inbox_message_refs (tenant_id, sending_started_at)
  WHERE (status = 'sending'::text);
-- Serves brakes: what a mailbox has sent lately.
CREATE INDEX inbox_message_refs_mailbox_sent_idx ON inbox_message_refs (tenant_id, email_account_id, sent_at)
  WHERE (sent_at IS NOT NULL);
-- Serves brakes: what came back to a mailbox lately.
CREATE INDEX inbox_message_refs_mailbox_bounced_idx ON inbox_message_refs (tenant_id, email_account_id, bounced_at)
  WHERE (bounced_at IS NOT NULL);
-- Serves brakes: who complained of a mailbox lately.
CREATE INDEX inbox_message_refs_mailbox_complained_idx ON inbox_message_refs (tenant_id, email_account_id, complained_at)
  WHERE (complained_at IS NOT NULL);
-- Serves brakes: what came back to a campaign.
CREATE INDEX inbox_message_refs_campaign_bounced_idx ON inbox_message_refs (tenant_id, campaign_id, bounced_at)
  WHERE (bounced_at IS NOT NULL);
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

-- What was promised for a day and what left on it. A promise is an UPDATE that the cap refuses, so two planners can
-- not both have the last place.
CREATE TABLE sending_budgets (
  tenant_id uuid NOT NULL,
  scope text NOT NULL,
  scope_id uuid NOT NULL,
  day date NOT NULL,
  reserved integer NOT NULL DEFAULT 0,
  sent integer NOT NULL DEFAULT 0,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT sending_budgets_pkey PRIMARY KEY (tenant_id, scope, scope_id, day),
  CONSTRAINT sending_budgets_scope_check CHECK (scope IN ('mailbox', 'domain', 'campaign', 'plan')),
  CONSTRAINT sending_budgets_reserved_check CHECK (reserved >= 0),
  CONSTRAINT sending_budgets_sent_check CHECK (sent >= 0)
) WITH (fillfactor = 70);
SELECT make_tenant_table('sending_budgets');
SELECT keep_updated_at('sending_budgets');

-- The same for an address, which tenants share.
CREATE TABLE smtp_ip_loads (
  smtp_ip_address_id uuid NOT NULL,
  day date NOT NULL,
  reserved integer NOT NULL DEFAULT 0,
  sent integer NOT NULL DEFAULT 0,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT smtp_ip_loads_pkey PRIMARY KEY (smtp_ip_address_id, day),
  CONSTRAINT smtp_ip_loads_smtp_ip_address_id_fkey
    FOREIGN KEY (smtp_ip_address_id) REFERENCES smtp_ip_addresses (id),
  CONSTRAINT smtp_ip_loads_reserved_check CHECK (reserved >= 0),
  CONSTRAINT smtp_ip_loads_sent_check CHECK (sent >= 0)
) WITH (fillfactor = 70);
SELECT make_platform_table('smtp_ip_loads');
SELECT keep_updated_at('smtp_ip_loads');

-- A thread that someone has written to us in: what the inbox lists. Mail that nobody answered makes none.
CREATE TABLE conversations (
  tenant_id uuid NOT NULL,
  thread_id uuid NOT NULL,
  email_account_id uuid NOT NULL,
  campaign_id uuid,
  lead_id uuid,
  correspondent_email text,
  subject text,
  message_count integer NOT NULL DEFAULT 0,
  unread_count integer NOT NULL DEFAULT 0,
  is_starred boolean NOT NULL DEFAULT false,
  is_archived boolean NOT NULL DEFAULT false,
  last_message_id uuid NOT NULL,
  last_message_at timestamptz(3) NOT NULL,
  last_inbound_at timestamptz(3) NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT conversations_pkey PRIMARY KEY (tenant_id, thread_id),
  CONSTRAINT conversations_tenant_id_email_account_id_fkey
    FOREIGN KEY (tenant_id, email_account_id) REFERENCES email_accounts (tenant_id, id),
  CONSTRAINT conversations_tenant_id_campaign_id_fkey
    FOREIGN KEY (tenant_id, campaign_id) REFERENCES campaigns (tenant_id, id),
  CONSTRAINT conversations_tenant_id_lead_id_fkey FOREIGN KEY (tenant_id, lead_id) REFERENCES leads (tenant_id, id),
  CONSTRAINT conversations_tenant_id_last_message_id_fkey
    FOREIGN KEY (tenant_id, last_message_id) REFERENCES inbox_message_refs (tenant_id, id),
  CONSTRAINT conversations_message_count_check CHECK (message_count >= 0),
  CONSTRAINT conversations_unread_count_check CHECK (unread_count BETWEEN 0 AND message_count)
);
-- Serves conversations.
CREATE INDEX conversations_tenant_id_last_message_at_thread_id_idx
  ON conversations (tenant_id, last_message_at DESC, thread_id DESC) WHERE (NOT is_archived);
-- Serves conversations of a mailbox.
CREATE INDEX conversations_mailbox_idx
  ON conversations (tenant_id, email_account_id, last_message_at DESC, thread_id DESC);
-- Serves conversations of a campaign.
CREATE INDEX conversations_campaign_idx
  ON conversations (tenant_id, campaign_id, last_message_at DESC, thread_id DESC) WHERE (campaign_id IS NOT NULL);
-- Serves conversations with a lead.
CREATE INDEX conversations_lead_idx
  ON conversations (tenant_id, lead_id, last_message_at DESC, thread_id DESC) WHERE (lead_id IS NOT NULL);
-- Serves conversations with a correspondent.
CREATE INDEX conversations_correspondent_idx
  ON conversations (tenant_id, correspondent_email, last_message_at DESC, thread_id DESC)
  WHERE (correspondent_email IS NOT NULL);
-- Serves conversations not read.
CREATE INDEX conversations_unread_idx
  ON conversations (tenant_id, last_message_at DESC, thread_id DESC) WHERE (unread_count > 0);
-- Serves conversations starred.
CREATE INDEX conversations_starred_idx
  ON conversations (tenant_id, last_message_at DESC, thread_id DESC) WHERE (is_starred);
-- Serves conversations archived.
CREATE INDEX conversations_archived_idx
  ON conversations (tenant_id, last_message_at DESC, thread_id DESC) WHERE (is_archived);
SELECT make_tenant_table('conversations');
SELECT keep_updated_at('conversations');

-- The conversations there are already.
INSERT INTO conversations (tenant_id, thread_id, email_account_id, campaign_id, lead_id, correspondent_email, subject,
  message_count, unread_count, is_starred, is_archived, last_message_id, last_message_at, last_inbound_at, created_at)
SELECT last.tenant_id, last.thread_id, last.email_account_id, about.campaign_id, about.lead_id,
  about.correspondent_email, last.subject, about.message_count, about.unread_count, about.is_starred, about.is_archived,
  last.id, last.created_at, about.last_inbound_at, about.first_at
FROM (SELECT DISTINCT ON (tenant_id, thread_id) * FROM inbox_message_refs
      ORDER BY tenant_id, thread_id, created_at DESC, id DESC) AS last
JOIN (SELECT tenant_id, thread_id, count(*) AS message_count,
        count(*) FILTER (WHERE direction = 'inbound' AND NOT is_read) AS unread_count,
        bool_or(is_starred) AS is_starred, bool_and(is_archived) AS is_archived,
        max(created_at) FILTER (WHERE direction = 'inbound') AS last_inbound_at, min(created_at) AS first_at,
        (array_agg(campaign_id ORDER BY created_at DESC) FILTER (WHERE campaign_id IS NOT NULL))[1] AS campaign_id,
        (array_agg(lead_id ORDER BY created_at DESC) FILTER (WHERE lead_id IS NOT NULL))[1] AS lead_id,
        (array_agg(from_email ORDER BY created_at DESC) FILTER (WHERE direction = 'inbound'))[1] AS correspondent_email
      FROM inbox_message_refs GROUP BY tenant_id, thread_id) AS about USING (tenant_id, thread_id)
WHERE about.last_inbound_at IS NOT NULL;

-- How far a mailbox's folder has been read.
CREATE TABLE imap_cursors (
  tenant_id uuid NOT NULL,
  email_account_id uuid NOT NULL,
  folder text NOT NULL DEFAULT 'INBOX',
  uid_validity bigint,
  last_uid bigint NOT NULL DEFAULT 0,
  polled_at timestamptz(3),
  last_error text,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT imap_cursors_pkey PRIMARY KEY (tenant_id, email_account_id, folder),
  CONSTRAINT imap_cursors_tenant_id_email_account_id_fkey
    FOREIGN KEY (tenant_id, email_account_id) REFERENCES email_accounts (tenant_id, id)
);
SELECT make_tenant_table('imap_cursors');
SELECT keep_updated_at('imap_cursors');

-- Leads that come as a file, and go as one: the work is a job, what became of it stands here.
CREATE TABLE lead_imports (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  file_name text NOT NULL,
  content_storage_key varchar(500) NOT NULL,
  column_mapping jsonb NOT NULL DEFAULT '{}',
  campaign_id uuid,
  status text NOT NULL DEFAULT 'queued',
  total_bytes bigint NOT NULL DEFAULT 0,
  read_bytes bigint NOT NULL DEFAULT 0,
  row_count integer NOT NULL DEFAULT 0,
  created_count integer NOT NULL DEFAULT 0,
  updated_count integer NOT NULL DEFAULT 0,
  duplicate_count integer NOT NULL DEFAULT 0,
  suppressed_count integer NOT NULL DEFAULT 0,
  error_count integer NOT NULL DEFAULT 0,
  last_error text,
  started_at timestamptz(3),
  completed_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT lead_imports_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT lead_imports_tenant_id_campaign_id_fkey
    FOREIGN KEY (tenant_id, campaign_id) REFERENCES campaigns (tenant_id, id),
  CONSTRAINT lead_imports_status_check CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled'))
);
-- Serves leadImports.
CREATE INDEX lead_imports_tenant_id_created_at_id_idx ON lead_imports (tenant_id, created_at DESC, id DESC);
SELECT make_tenant_table('lead_imports');
SELECT keep_updated_at('lead_imports');

CREATE TABLE lead_import_errors (
  tenant_id uuid NOT NULL,
  lead_import_id uuid NOT NULL,
  row_number integer NOT NULL,
  code text NOT NULL,
  message text NOT NULL,
  row_text text,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT lead_import_errors_pkey PRIMARY KEY (tenant_id, lead_import_id, row_number),
  CONSTRAINT lead_import_errors_tenant_id_lead_import_id_fkey
    FOREIGN KEY (tenant_id, lead_import_id) REFERENCES lead_imports (tenant_id, id)
);
SELECT make_tenant_table('lead_import_errors');

CREATE TABLE lead_exports (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  filter jsonb NOT NULL DEFAULT '{}',
  status text NOT NULL DEFAULT 'queued',
  row_count integer NOT NULL DEFAULT 0,
  content_storage_key varchar(500),
  last_error text,
  started_at timestamptz(3),
  completed_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT lead_exports_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT lead_exports_status_check CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled'))
);
-- Serves leadExports.
CREATE INDEX lead_exports_tenant_id_created_at_id_idx ON lead_exports (tenant_id, created_at DESC, id DESC);
SELECT make_tenant_table('lead_exports');
SELECT keep_updated_at('lead_exports');
