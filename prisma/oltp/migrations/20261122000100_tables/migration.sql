-- Tier 1: operational truth. Every list that a client can ask for has an index that begins with tenant_id.
-- What a table's comment calls its scope is what make_tenant_table and make_platform_table make true.

CREATE TABLE tenants (
  id uuid NOT NULL,
  name text NOT NULL,
  slug text NOT NULL,
  timezone text NOT NULL DEFAULT 'UTC',
  compute_id text,
  deleted_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT tenants_pkey PRIMARY KEY (id),
  CONSTRAINT tenants_name_check CHECK (name <> ''),
  CONSTRAINT tenants_slug_check CHECK (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$')
);
SELECT make_tenant_table('tenants', 'id');
-- A tenant renames itself; being founded, closed or given a slug is the system's act.
REVOKE INSERT, UPDATE, DELETE ON tenants FROM oltp_app;
GRANT UPDATE (name, timezone) ON tenants TO oltp_app;
SELECT keep_updated_at('tenants');

CREATE TABLE tenant_directory (
  slug text NOT NULL,
  tenant_id uuid NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT tenant_directory_pkey PRIMARY KEY (slug)
);
CREATE UNIQUE INDEX tenant_directory_tenant_id_key ON tenant_directory (tenant_id);
SELECT make_platform_table('tenant_directory');

-- Runs as the owner: whoever writes a tenant keeps its line in the directory.
CREATE FUNCTION keep_tenant_directory() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP IN ('UPDATE', 'DELETE') THEN
    DELETE FROM tenant_directory WHERE tenant_id = OLD.id;
  END IF;
  IF TG_OP IN ('INSERT', 'UPDATE') THEN
    INSERT INTO tenant_directory (slug, tenant_id) VALUES (NEW.slug, NEW.id);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER keep_tenant_directory AFTER INSERT OR DELETE OR UPDATE OF slug ON tenants
  FOR EACH ROW EXECUTE FUNCTION keep_tenant_directory();

CREATE TABLE users (
  id uuid NOT NULL,
  name text,
  given_name text,
  family_name text,
  email text NOT NULL,
  picture text,
  email_verified_at timestamptz(3),
  deleted_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT users_pkey PRIMARY KEY (id),
  CONSTRAINT users_email_check CHECK (email = lower(email))
);
CREATE UNIQUE INDEX users_email_key ON users (email);
SELECT keep_updated_at('users');

CREATE TABLE tenant_users (
  tenant_id uuid NOT NULL,
  user_id uuid NOT NULL,
  email text NOT NULL,
  roles text[] NOT NULL,
  deleted_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT tenant_users_pkey PRIMARY KEY (tenant_id, user_id),
  CONSTRAINT tenant_users_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id),
  CONSTRAINT tenant_users_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id),
  CONSTRAINT tenant_users_email_check CHECK (email = lower(email)),
  CONSTRAINT tenant_users_roles_check
    CHECK (roles <@ ARRAY['owner', 'admin', 'manager', 'employee', 'viewer'] AND cardinality(roles) > 0)
);
-- Serves team.
CREATE INDEX tenant_users_tenant_id_created_at_user_id_idx
  ON tenant_users (tenant_id, created_at, user_id) WHERE (deleted_at IS NULL);
-- Serves the tenants of a user, for the system.
CREATE INDEX tenant_users_user_id_idx ON tenant_users (user_id);
-- Serves one live member per address.
CREATE UNIQUE INDEX tenant_users_tenant_id_email_key ON tenant_users (tenant_id, email) WHERE (deleted_at IS NULL);
SELECT make_tenant_table('tenant_users');
-- Joining is the system's act: whom a tenant could add by itself it could read.
REVOKE INSERT, UPDATE, DELETE ON tenant_users FROM oltp_app;
GRANT UPDATE (roles, deleted_at) ON tenant_users TO oltp_app;
SELECT keep_updated_at('tenant_users');

-- The membership scope: a user is seen through the tenant_users of the current tenant.
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY membership ON users FOR SELECT TO oltp_app USING (EXISTS (
  SELECT FROM tenant_users AS member
  WHERE member.tenant_id = current_setting('app.current_tenant_id')::uuid
    AND member.user_id = users.id AND member.deleted_at IS NULL));
CREATE POLICY owner_migrates ON users FOR ALL TO oltp_owner USING (true) WITH CHECK (true);
CREATE POLICY system_works ON users FOR ALL TO oltp_system USING (true) WITH CHECK (true);
GRANT SELECT ON users TO oltp_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON users TO oltp_system;

CREATE TABLE companies (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  name text NOT NULL,
  workspace_name text,
  logo_url text,
  status text NOT NULL DEFAULT 'active',
  deleted_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT companies_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT companies_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id),
  CONSTRAINT companies_status_check CHECK (status IN ('active', 'suspended', 'archived'))
);
-- Serves companies.
CREATE INDEX companies_tenant_id_created_at_id_idx
  ON companies (tenant_id, created_at DESC, id DESC) WHERE (deleted_at IS NULL);
SELECT make_tenant_table('companies');
SELECT keep_updated_at('companies');

CREATE TABLE domains (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  company_id uuid NOT NULL,
  domain text NOT NULL,
  verification_status text NOT NULL DEFAULT 'pending',
  dns_records jsonb NOT NULL DEFAULT '{}',
  is_primary boolean NOT NULL DEFAULT false,
  verified_at timestamptz(3),
  deleted_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT domains_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT domains_tenant_id_company_id_fkey
    FOREIGN KEY (tenant_id, company_id) REFERENCES companies (tenant_id, id),
  CONSTRAINT domains_domain_check CHECK (domain = lower(domain)),
  CONSTRAINT domains_verification_status_check CHECK (verification_status IN ('pending', 'verified', 'failed')),
  CONSTRAINT domains_verified_at_check CHECK (verification_status <> 'verified' OR verified_at IS NOT NULL)
);
-- Serves domains.
CREATE INDEX domains_tenant_id_created_at_id_idx
  ON domains (tenant_id, created_at DESC, id DESC) WHERE (deleted_at IS NULL);
-- Serves Company.domains.
CREATE INDEX domains_tenant_id_company_id_created_at_id_idx
  ON domains (tenant_id, company_id, created_at DESC, id DESC) WHERE (deleted_at IS NULL);
-- Serves one live row per name.
CREATE UNIQUE INDEX domains_tenant_id_domain_key ON domains (tenant_id, domain) WHERE (deleted_at IS NULL);
SELECT make_tenant_table('domains');
SELECT keep_updated_at('domains');

CREATE TABLE email_accounts (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  domain_id uuid NOT NULL,
  email text NOT NULL,
  display_name text,
  provider text NOT NULL DEFAULT 'smtp',
  vault_key_path text,
  smtp_settings jsonb NOT NULL DEFAULT '{}',
  imap_settings jsonb NOT NULL DEFAULT '{}',
  status text NOT NULL DEFAULT 'pending',
  daily_limit integer NOT NULL DEFAULT 50,
  warmup_status text NOT NULL DEFAULT 'not_started',
  warmup_started_at timestamptz(3),
  paused_reason text,
  deleted_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT email_accounts_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT email_accounts_tenant_id_domain_id_fkey
    FOREIGN KEY (tenant_id, domain_id) REFERENCES domains (tenant_id, id),
  CONSTRAINT email_accounts_email_check CHECK (email = lower(email)),
  CONSTRAINT email_accounts_provider_check CHECK (provider IN ('smtp', 'google', 'microsoft', 'other')),
  CONSTRAINT email_accounts_status_check
    CHECK (status IN ('pending', 'active', 'paused', 'suspended', 'disconnected')),
  CONSTRAINT email_accounts_daily_limit_check CHECK (daily_limit >= 0),
  CONSTRAINT email_accounts_warmup_status_check
    CHECK (warmup_status IN ('not_started', 'active', 'paused', 'completed'))
);
-- Serves emailAccounts; read from its end, the tenant's default mailbox.
CREATE INDEX email_accounts_tenant_id_created_at_id_idx
  ON email_accounts (tenant_id, created_at DESC, id DESC) WHERE (deleted_at IS NULL);
-- Serves emailAccounts by status.
CREATE INDEX email_accounts_tenant_id_status_created_at_id_idx
  ON email_accounts (tenant_id, status, created_at DESC, id DESC) WHERE (deleted_at IS NULL);
-- Serves Domain.emailAccounts.
CREATE INDEX email_accounts_tenant_id_domain_id_created_at_id_idx
  ON email_accounts (tenant_id, domain_id, created_at DESC, id DESC) WHERE (deleted_at IS NULL);
-- Serves the mailbox of a recipient; one live mailbox per address.
CREATE UNIQUE INDEX email_accounts_tenant_id_email_key ON email_accounts (tenant_id, email) WHERE (deleted_at IS NULL);
SELECT make_tenant_table('email_accounts');
SELECT keep_updated_at('email_accounts');

CREATE TABLE mailbox_directory (
  email text NOT NULL,
  tenant_id uuid NOT NULL,
  email_account_id uuid NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT mailbox_directory_pkey PRIMARY KEY (email, tenant_id)
);
SELECT make_platform_table('mailbox_directory');

-- Runs as the owner: whoever writes a mailbox keeps its line in the directory. It touches its own tenant's lines only.
CREATE FUNCTION keep_mailbox_directory() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP IN ('UPDATE', 'DELETE') THEN
    DELETE FROM mailbox_directory
    WHERE email = OLD.email AND tenant_id = OLD.tenant_id AND email_account_id = OLD.id;
  END IF;
  IF TG_OP IN ('INSERT', 'UPDATE') AND NEW.deleted_at IS NULL THEN
    INSERT INTO mailbox_directory (email, tenant_id, email_account_id) VALUES (NEW.email, NEW.tenant_id, NEW.id);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER keep_mailbox_directory AFTER INSERT OR DELETE OR UPDATE OF email, deleted_at ON email_accounts
  FOR EACH ROW EXECUTE FUNCTION keep_mailbox_directory();

CREATE TABLE leads (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  email text NOT NULL,
  name text,
  company text,
  title text,
  custom jsonb NOT NULL DEFAULT '{}',
  status text NOT NULL DEFAULT 'new',
  unsubscribed_at timestamptz(3),
  deleted_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT leads_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT leads_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id),
  CONSTRAINT leads_email_check CHECK (email = lower(email)),
  CONSTRAINT leads_status_check CHECK (status IN ('new', 'contacted', 'replied', 'bounced', 'unsubscribed'))
);
-- Serves leads.
CREATE INDEX leads_tenant_id_created_at_id_idx
  ON leads (tenant_id, created_at DESC, id DESC) WHERE (deleted_at IS NULL);
-- Serves leads by status.
CREATE INDEX leads_tenant_id_status_created_at_id_idx
  ON leads (tenant_id, status, created_at DESC, id DESC) WHERE (deleted_at IS NULL);
-- Serves the lead of a sender; one live lead per address.
CREATE UNIQUE INDEX leads_tenant_id_email_key ON leads (tenant_id, email) WHERE (deleted_at IS NULL);
SELECT make_tenant_table('leads');
SELECT keep_updated_at('leads');

CREATE TABLE templates (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  name text NOT NULL,
  subject text NOT NULL,
  body_text text,
  body_html text,
  folder text,
  tags text[] NOT NULL DEFAULT '{}',
  deleted_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT templates_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT templates_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id)
);
-- Serves templates.
CREATE INDEX templates_tenant_id_created_at_id_idx
  ON templates (tenant_id, created_at DESC, id DESC) WHERE (deleted_at IS NULL);
-- Serves templates of a folder.
CREATE INDEX templates_tenant_id_folder_created_at_id_idx
  ON templates (tenant_id, folder, created_at DESC, id DESC) WHERE (deleted_at IS NULL);
SELECT make_tenant_table('templates');
SELECT keep_updated_at('templates');

CREATE TABLE campaigns (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  company_id uuid NOT NULL,
  name text NOT NULL,
  description text,
  status text NOT NULL DEFAULT 'draft',
  scheduled_at timestamptz(3),
  started_at timestamptz(3),
  completed_at timestamptz(3),
  archived_at timestamptz(3),
  paused_reason text,
  daily_cap integer,
  sending_window jsonb,
  timezone text,
  version integer NOT NULL DEFAULT 1,
  deleted_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT campaigns_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT campaigns_tenant_id_company_id_fkey
    FOREIGN KEY (tenant_id, company_id) REFERENCES companies (tenant_id, id),
  CONSTRAINT campaigns_status_check
    CHECK (status IN ('draft', 'scheduled', 'sending', 'paused', 'completed', 'cancelled')),
  CONSTRAINT campaigns_daily_cap_check CHECK (daily_cap > 0)
);
-- Serves campaigns, newest first.
CREATE INDEX campaigns_tenant_id_created_at_id_idx
  ON campaigns (tenant_id, created_at DESC, id DESC) WHERE (deleted_at IS NULL);
-- Serves campaigns of a status.
CREATE INDEX campaigns_tenant_id_status_created_at_id_idx
  ON campaigns (tenant_id, status, created_at DESC, id DESC) WHERE (deleted_at IS NULL);
-- Serves campaigns of a company.
CREATE INDEX campaigns_tenant_id_company_id_created_at_id_idx
  ON campaigns (tenant_id, company_id, created_at DESC, id DESC) WHERE (deleted_at IS NULL);
-- Serves campaigns by name.
CREATE INDEX campaigns_tenant_id_name_id_idx ON campaigns (tenant_id, name, id) WHERE (deleted_at IS NULL);
-- Serves campaigns, last changed first.
CREATE INDEX campaigns_tenant_id_updated_at_id_idx
  ON campaigns (tenant_id, updated_at DESC, id DESC) WHERE (deleted_at IS NULL);
SELECT make_tenant_table('campaigns');
SELECT keep_updated_at('campaigns');

CREATE TABLE campaign_sequence_steps (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  campaign_id uuid NOT NULL,
  step_order integer NOT NULL,
  step_type text NOT NULL DEFAULT 'email',
  template_id uuid,
  email_account_id uuid,
  subject_override text,
  wait_hours integer NOT NULL DEFAULT 0,
  condition text NOT NULL DEFAULT 'always',
  is_active boolean NOT NULL DEFAULT true,
  deleted_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT campaign_sequence_steps_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT campaign_sequence_steps_tenant_id_campaign_id_fkey
    FOREIGN KEY (tenant_id, campaign_id) REFERENCES campaigns (tenant_id, id),
  CONSTRAINT campaign_sequence_steps_tenant_id_template_id_fkey
    FOREIGN KEY (tenant_id, template_id) REFERENCES templates (tenant_id, id),
  CONSTRAINT campaign_sequence_steps_tenant_id_email_account_id_fkey
    FOREIGN KEY (tenant_id, email_account_id) REFERENCES email_accounts (tenant_id, id),
  CONSTRAINT campaign_sequence_steps_step_order_check CHECK (step_order >= 1),
  CONSTRAINT campaign_sequence_steps_step_type_check CHECK (step_type IN ('email', 'wait', 'condition')),
  CONSTRAINT campaign_sequence_steps_wait_hours_check CHECK (wait_hours >= 0),
  CONSTRAINT campaign_sequence_steps_condition_check
    CHECK (condition IN ('always', 'if_not_opened', 'if_not_clicked', 'if_not_replied'))
);
-- Serves where a template is used.
CREATE INDEX campaign_sequence_steps_tenant_id_template_id_idx
  ON campaign_sequence_steps (tenant_id, template_id) WHERE (deleted_at IS NULL);
-- Serves Campaign.steps; a place is taken once. Steps change places by way of numbers that are free.
CREATE UNIQUE INDEX campaign_sequence_steps_tenant_id_campaign_id_step_order_key
  ON campaign_sequence_steps (tenant_id, campaign_id, step_order) WHERE (deleted_at IS NULL);
SELECT make_tenant_table('campaign_sequence_steps');
SELECT keep_updated_at('campaign_sequence_steps');

CREATE TABLE campaign_enrollments (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  campaign_id uuid NOT NULL,
  lead_id uuid NOT NULL,
  current_step_order integer NOT NULL DEFAULT 0,
  status text NOT NULL DEFAULT 'active',
  next_run_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT campaign_enrollments_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT campaign_enrollments_tenant_id_campaign_id_fkey
    FOREIGN KEY (tenant_id, campaign_id) REFERENCES campaigns (tenant_id, id),
  CONSTRAINT campaign_enrollments_tenant_id_lead_id_fkey
    FOREIGN KEY (tenant_id, lead_id) REFERENCES leads (tenant_id, id),
  CONSTRAINT campaign_enrollments_current_step_order_check CHECK (current_step_order >= 0),
  CONSTRAINT campaign_enrollments_status_check
    CHECK (status IN ('active', 'completed', 'replied', 'bounced', 'unsubscribed', 'stopped'))
);
-- Serves Campaign.enrollments.
CREATE INDEX campaign_enrollments_tenant_id_campaign_id_created_at_id_idx
  ON campaign_enrollments (tenant_id, campaign_id, created_at DESC, id DESC);
-- Serves Campaign.enrollments of a status.
CREATE INDEX campaign_enrollments_tenant_id_campaign_id_status_created_a_idx
  ON campaign_enrollments (tenant_id, campaign_id, status, created_at DESC, id DESC);
-- Serves Lead.enrollments.
CREATE INDEX campaign_enrollments_tenant_id_lead_id_created_at_id_idx
  ON campaign_enrollments (tenant_id, lead_id, created_at DESC, id DESC);
-- Serves due steps of a tenant.
CREATE INDEX campaign_enrollments_tenant_id_next_run_at_idx
  ON campaign_enrollments (tenant_id, next_run_at) WHERE (status = 'active'::text);
-- Serves a lead is enrolled in a campaign once.
CREATE UNIQUE INDEX campaign_enrollments_tenant_id_campaign_id_lead_id_key
  ON campaign_enrollments (tenant_id, campaign_id, lead_id);
SELECT make_tenant_table('campaign_enrollments');
SELECT keep_updated_at('campaign_enrollments');

CREATE TABLE campaign_metrics (
  tenant_id uuid NOT NULL,
  campaign_id uuid NOT NULL,
  sent integer NOT NULL DEFAULT 0,
  delivered integer NOT NULL DEFAULT 0,
  opened integer NOT NULL DEFAULT 0,
  clicked integer NOT NULL DEFAULT 0,
  replied integer NOT NULL DEFAULT 0,
  bounced integer NOT NULL DEFAULT 0,
  unsubscribed integer NOT NULL DEFAULT 0,
  complained integer NOT NULL DEFAULT 0,
  reply_rate double precision,
  version bigint NOT NULL DEFAULT 0,
  as_of_at timestamptz(3) NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT campaign_metrics_pkey PRIMARY KEY (tenant_id, campaign_id),
  CONSTRAINT campaign_metrics_tenant_id_campaign_id_fkey
    FOREIGN KEY (tenant_id, campaign_id) REFERENCES campaigns (tenant_id, id),
  CONSTRAINT campaign_metrics_reply_rate_check CHECK (reply_rate BETWEEN 0 AND 1)
);
SELECT make_tenant_table('campaign_metrics');
SELECT keep_updated_at('campaign_metrics');

-- A range on time or id would forbid the unique key below and make half the queries read every partition.
CREATE TABLE inbox_message_refs (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  email_account_id uuid NOT NULL,
  campaign_id uuid,
  step_id uuid,
  lead_id uuid,
  parent_message_id uuid,
  thread_id uuid NOT NULL,
  direction text NOT NULL,
  message_type text NOT NULL DEFAULT 'email',
  from_email text,
  to_email text,
  subject text,
  rfc822_message_id text,
  dedup_key text NOT NULL,
  status text NOT NULL,
  parse_status text NOT NULL DEFAULT 'parsed',
  content_storage_key varchar(500),
  has_attachments boolean NOT NULL DEFAULT false,
  is_read boolean NOT NULL DEFAULT false,
  is_starred boolean NOT NULL DEFAULT false,
  is_archived boolean NOT NULL DEFAULT false,
  bounce_type text,
  version integer NOT NULL DEFAULT 1,
  processed_at timestamptz(3),
  queued_at timestamptz(3),
  sent_at timestamptz(3),
  delivered_at timestamptz(3),
  opened_at timestamptz(3),
  clicked_at timestamptz(3),
  replied_at timestamptz(3),
  bounced_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT inbox_message_refs_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT inbox_message_refs_tenant_id_email_account_id_fkey
    FOREIGN KEY (tenant_id, email_account_id) REFERENCES email_accounts (tenant_id, id),
  CONSTRAINT inbox_message_refs_tenant_id_campaign_id_fkey
    FOREIGN KEY (tenant_id, campaign_id) REFERENCES campaigns (tenant_id, id),
  CONSTRAINT inbox_message_refs_tenant_id_step_id_fkey
    FOREIGN KEY (tenant_id, step_id) REFERENCES campaign_sequence_steps (tenant_id, id),
  CONSTRAINT inbox_message_refs_tenant_id_lead_id_fkey
    FOREIGN KEY (tenant_id, lead_id) REFERENCES leads (tenant_id, id),
  CONSTRAINT inbox_message_refs_tenant_id_parent_message_id_fkey
    FOREIGN KEY (tenant_id, parent_message_id) REFERENCES inbox_message_refs (tenant_id, id),
  CONSTRAINT inbox_message_refs_direction_check CHECK (direction IN ('inbound', 'outbound')),
  CONSTRAINT inbox_message_refs_message_type_check CHECK (message_type IN ('email', 'bounce', 'auto_reply')),
  CONSTRAINT inbox_message_refs_status_check CHECK (status IN
    ('queued', 'sending', 'sent', 'delivered', 'opened', 'replied', 'bounced', 'failed', 'received')),
  CONSTRAINT inbox_message_refs_received_check CHECK ((direction = 'inbound') = (status = 'received')),
  CONSTRAINT inbox_message_refs_parse_status_check CHECK (parse_status IN ('parsed', 'partial', 'unparsed')),
  CONSTRAINT inbox_message_refs_bounce_type_check CHECK (bounce_type IN ('hard', 'soft'))
) PARTITION BY HASH (tenant_id);
-- Serves messages.
CREATE INDEX inbox_message_refs_tenant_id_created_at_id_idx ON inbox_message_refs (tenant_id, created_at DESC, id DESC);
-- Serves messages of a mailbox.
CREATE INDEX inbox_message_refs_tenant_id_email_account_id_created_at_id_idx
  ON inbox_message_refs (tenant_id, email_account_id, created_at DESC, id DESC);
-- Serves Campaign.messages, messages of a campaign.
CREATE INDEX inbox_message_refs_tenant_id_campaign_id_created_at_id_idx
  ON inbox_message_refs (tenant_id, campaign_id, created_at DESC, id DESC) WHERE (campaign_id IS NOT NULL);
-- Serves Lead.messages.
CREATE INDEX inbox_message_refs_tenant_id_lead_id_created_at_id_idx
  ON inbox_message_refs (tenant_id, lead_id, created_at DESC, id DESC) WHERE (lead_id IS NOT NULL);
-- Serves messages of a conversation.
CREATE INDEX inbox_message_refs_tenant_id_thread_id_created_at_id_idx
  ON inbox_message_refs (tenant_id, thread_id, created_at DESC, id DESC);
-- Serves messages of a direction and status.
CREATE INDEX inbox_message_refs_tenant_id_direction_status_created_at_id_idx
  ON inbox_message_refs (tenant_id, direction, status, created_at DESC, id DESC);
-- Serves messages not read.
CREATE INDEX inbox_message_refs_unread_idx
  ON inbox_message_refs (tenant_id, created_at DESC, id DESC) WHERE (NOT is_read);
-- Serves messages starred.
CREATE INDEX inbox_message_refs_starred_idx
  ON inbox_message_refs (tenant_id, created_at DESC, id DESC) WHERE (is_starred);
-- Serves messages archived.
CREATE INDEX inbox_message_refs_archived_idx
  ON inbox_message_refs (tenant_id, created_at DESC, id DESC) WHERE (is_archived);
-- Serves messages of a sender.
CREATE INDEX inbox_message_refs_tenant_id_from_email_created_at_id_idx
  ON inbox_message_refs (tenant_id, from_email, created_at DESC, id DESC) WHERE (from_email IS NOT NULL);
-- Serves ingestMessage: what a mail answers.
CREATE INDEX inbox_message_refs_tenant_id_rfc822_message_id_idx
  ON inbox_message_refs (tenant_id, rfc822_message_id) WHERE (rfc822_message_id IS NOT NULL);
-- Serves messages of a step.
CREATE INDEX inbox_message_refs_tenant_id_step_id_created_at_id_idx
  ON inbox_message_refs (tenant_id, step_id, created_at DESC, id DESC) WHERE (step_id IS NOT NULL);
-- Serves InboxMessageRef.replies.
CREATE INDEX inbox_message_refs_tenant_id_parent_message_id_idx
  ON inbox_message_refs (tenant_id, parent_message_id) WHERE (parent_message_id IS NOT NULL);
-- Serves ContentObject.messages.
CREATE INDEX inbox_message_refs_tenant_id_content_storage_key_idx
  ON inbox_message_refs (tenant_id, content_storage_key) WHERE (content_storage_key IS NOT NULL);
-- Serves ingestMessage: the same mail in the same mailbox is one row.
CREATE UNIQUE INDEX inbox_message_refs_tenant_id_email_account_id_dedup_key_key
  ON inbox_message_refs (tenant_id, email_account_id, dedup_key);
-- make_partition gives each partition its walls, and no grant.
SELECT make_tenant_table('inbox_message_refs');
SELECT make_partition('inbox_message_refs', format('inbox_message_refs_p%s', lpad(n::text, 2, '0'))::name,
                      format('FOR VALUES WITH (MODULUS 16, REMAINDER %s)', n))
FROM generate_series(0, 15) AS n;
SELECT keep_updated_at('inbox_message_refs');

CREATE TABLE suppressions (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  email text,
  domain text,
  reason text NOT NULL,
  scope text NOT NULL DEFAULT 'tenant',
  company_id uuid,
  source_message_id uuid,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT suppressions_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT suppressions_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id),
  CONSTRAINT suppressions_tenant_id_company_id_fkey
    FOREIGN KEY (tenant_id, company_id) REFERENCES companies (tenant_id, id),
  CONSTRAINT suppressions_tenant_id_source_message_id_fkey
    FOREIGN KEY (tenant_id, source_message_id) REFERENCES inbox_message_refs (tenant_id, id),
  CONSTRAINT suppressions_target_check CHECK (num_nonnulls(email, domain) = 1),
  CONSTRAINT suppressions_email_check CHECK (email = lower(email)),
  CONSTRAINT suppressions_domain_check CHECK (domain = lower(domain)),
  CONSTRAINT suppressions_reason_check CHECK (reason IN ('unsubscribe', 'bounce', 'complaint', 'manual')),
  CONSTRAINT suppressions_scope_check CHECK (scope IN ('tenant', 'company')),
  CONSTRAINT suppressions_company_id_check CHECK ((scope = 'company') = (company_id IS NOT NULL))
);
-- Serves may this domain be written to.
CREATE INDEX suppressions_tenant_id_domain_idx ON suppressions (tenant_id, domain) WHERE (domain IS NOT NULL);
-- Serves suppressions.
CREATE INDEX suppressions_tenant_id_created_at_id_idx ON suppressions (tenant_id, created_at DESC, id DESC);
-- Serves what a message brought about.
CREATE INDEX suppressions_tenant_id_source_message_id_idx
  ON suppressions (tenant_id, source_message_id) WHERE (source_message_id IS NOT NULL);
-- Serves may this address be written to; one row per address and scope.
CREATE UNIQUE INDEX suppressions_target_key
  ON suppressions (tenant_id, email, domain, scope, company_id) NULLS NOT DISTINCT;
SELECT make_tenant_table('suppressions');
-- A suppression never expires and never changes.
REVOKE UPDATE, DELETE ON suppressions FROM oltp_app;

CREATE TABLE plans (
  id uuid NOT NULL,
  code text NOT NULL,
  name text NOT NULL,
  max_mailboxes integer,
  max_domains integer,
  max_leads integer,
  max_emails_per_month integer,
  max_storage_bytes bigint,
  is_active boolean NOT NULL DEFAULT true,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT plans_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX plans_code_key ON plans (code);
SELECT make_platform_table('plans',
  '{id,code,name,max_mailboxes,max_domains,max_leads,max_emails_per_month,max_storage_bytes,
    is_active,created_at,updated_at}');
INSERT INTO plans (id, code, name, max_mailboxes, max_domains, max_leads, max_emails_per_month, max_storage_bytes)
VALUES
  ('01930000-0000-7000-8000-000000000101', 'starter', 'Starter', 5, 1, 5000, 10000, 5368709120),
  ('01930000-0000-7000-8000-000000000102', 'professional', 'Professional', 25, 5, 50000, 50000, 53687091200),
  ('01930000-0000-7000-8000-000000000103', 'enterprise', 'Enterprise', NULL, NULL, NULL, NULL, NULL);
SELECT keep_updated_at('plans');

CREATE TABLE subscriptions (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  plan_id uuid NOT NULL,
  next_plan_id uuid,
  status text NOT NULL DEFAULT 'active',
  period_start_at timestamptz(3) NOT NULL,
  period_end_at timestamptz(3) NOT NULL,
  cancelled_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT subscriptions_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT subscriptions_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (id),
  CONSTRAINT subscriptions_plan_id_fkey FOREIGN KEY (plan_id) REFERENCES plans (id),
  CONSTRAINT subscriptions_next_plan_id_fkey FOREIGN KEY (next_plan_id) REFERENCES plans (id),
  CONSTRAINT subscriptions_status_check CHECK (status IN ('trialing', 'active', 'past_due', 'cancelled')),
  CONSTRAINT subscriptions_period_check CHECK (period_start_at < period_end_at)
);
-- Serves subscription: a tenant has one that is not cancelled.
CREATE UNIQUE INDEX subscriptions_live_key ON subscriptions (tenant_id) WHERE (status <> 'cancelled'::text);
SELECT make_tenant_table('subscriptions');
-- Changing plan is the system's act: it follows payment.
REVOKE INSERT, UPDATE, DELETE ON subscriptions FROM oltp_app;
SELECT keep_updated_at('subscriptions');

CREATE TABLE vps_instances (
  id uuid NOT NULL,
  provider text NOT NULL,
  provider_instance_id text NOT NULL,
  ip_address inet,
  region text,
  status text NOT NULL DEFAULT 'provisioning',
  monthly_cost numeric(10, 2),
  billing_period_start_at timestamptz(3),
  billing_period_end_at timestamptz(3),
  decommission_scheduled_for_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT vps_instances_pkey PRIMARY KEY (id),
  CONSTRAINT vps_instances_status_check
    CHECK (status IN ('provisioning', 'active', 'scheduled_decommission', 'decommissioned'))
);
-- Serves vpsInstances.
CREATE INDEX vps_instances_created_at_id_idx ON vps_instances (created_at DESC, id DESC);
-- Serves one row per rented server.
CREATE UNIQUE INDEX vps_instances_provider_provider_instance_id_key ON vps_instances (provider, provider_instance_id);
SELECT make_platform_table('vps_instances');
SELECT keep_updated_at('vps_instances');

CREATE TABLE smtp_ip_addresses (
  id uuid NOT NULL,
  vps_instance_id uuid NOT NULL,
  ip_address inet NOT NULL,
  pool text NOT NULL DEFAULT 'shared',
  status text NOT NULL DEFAULT 'available',
  reputation_state text NOT NULL DEFAULT 'good',
  warmup_started_at timestamptz(3),
  daily_safe_limit integer NOT NULL DEFAULT 1200,
  blocklists jsonb NOT NULL DEFAULT '[]',
  last_reputation_check_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT smtp_ip_addresses_pkey PRIMARY KEY (id),
  CONSTRAINT smtp_ip_addresses_vps_instance_id_fkey FOREIGN KEY (vps_instance_id) REFERENCES vps_instances (id),
  CONSTRAINT smtp_ip_addresses_pool_check CHECK (pool IN ('shared', 'dedicated')),
  CONSTRAINT smtp_ip_addresses_status_check
    CHECK (status IN ('available', 'assigned', 'warming', 'warmed', 'degraded', 'burned', 'quarantined')),
  CONSTRAINT smtp_ip_addresses_reputation_state_check CHECK (reputation_state IN ('good', 'fair', 'poor', 'critical')),
  CONSTRAINT smtp_ip_addresses_daily_safe_limit_check CHECK (daily_safe_limit >= 0)
);
CREATE UNIQUE INDEX smtp_ip_addresses_ip_address_key ON smtp_ip_addresses (ip_address);
-- Serves VpsInstance.smtpIpAddresses.
CREATE INDEX smtp_ip_addresses_vps_instance_id_idx ON smtp_ip_addresses (vps_instance_id);
-- Serves smtpIps.
CREATE INDEX smtp_ip_addresses_created_at_id_idx ON smtp_ip_addresses (created_at DESC, id DESC);
-- Serves smtpIps of a pool and status: what can be assigned.
CREATE INDEX smtp_ip_addresses_pool_status_created_at_id_idx
  ON smtp_ip_addresses (pool, status, created_at DESC, id DESC);
SELECT make_platform_table('smtp_ip_addresses',
  '{id,ip_address,pool,status,reputation_state,warmup_started_at,daily_safe_limit,created_at,updated_at}');
SELECT keep_updated_at('smtp_ip_addresses');

CREATE TABLE domain_ip_assignments (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  domain_id uuid NOT NULL,
  smtp_ip_address_id uuid NOT NULL,
  status text NOT NULL DEFAULT 'active',
  warmup_state jsonb NOT NULL DEFAULT '{}',
  assigned_at timestamptz(3) NOT NULL DEFAULT now(),
  expires_at timestamptz(3),
  last_sent_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT domain_ip_assignments_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT domain_ip_assignments_tenant_id_domain_id_fkey
    FOREIGN KEY (tenant_id, domain_id) REFERENCES domains (tenant_id, id),
  CONSTRAINT domain_ip_assignments_smtp_ip_address_id_fkey
    FOREIGN KEY (smtp_ip_address_id) REFERENCES smtp_ip_addresses (id),
  CONSTRAINT domain_ip_assignments_status_check CHECK (status IN ('active', 'warming', 'scheduled', 'expired'))
);
-- Serves domainIpAssignments.
CREATE INDEX domain_ip_assignments_tenant_id_created_at_id_idx
  ON domain_ip_assignments (tenant_id, created_at DESC, id DESC);
-- Serves Domain.ipAssignments.
CREATE INDEX domain_ip_assignments_tenant_id_domain_id_created_at_id_idx
  ON domain_ip_assignments (tenant_id, domain_id, created_at DESC, id DESC);
-- Serves which addresses a tenant may see.
CREATE INDEX domain_ip_assignments_tenant_id_smtp_ip_address_id_idx
  ON domain_ip_assignments (tenant_id, smtp_ip_address_id);
-- Serves which domains use an address, for the system.
CREATE INDEX domain_ip_assignments_smtp_ip_address_id_idx ON domain_ip_assignments (smtp_ip_address_id);
SELECT make_tenant_table('domain_ip_assignments');
-- Assigning is the system's act.
REVOKE INSERT, UPDATE, DELETE ON domain_ip_assignments FROM oltp_app;
SELECT keep_updated_at('domain_ip_assignments');

-- A tenant sees an address, in the columns granted above, only while one of its domains sends from it.
ALTER TABLE smtp_ip_addresses ENABLE ROW LEVEL SECURITY;
ALTER TABLE smtp_ip_addresses FORCE ROW LEVEL SECURITY;
CREATE POLICY assigned_to_tenant ON smtp_ip_addresses FOR SELECT TO oltp_app USING (EXISTS (
  SELECT FROM domain_ip_assignments AS assignment
  WHERE assignment.tenant_id = current_setting('app.current_tenant_id')::uuid
    AND assignment.smtp_ip_address_id = smtp_ip_addresses.id
    AND assignment.status IN ('active', 'warming')
    AND (assignment.expires_at IS NULL OR assignment.expires_at > now())));
CREATE POLICY owner_migrates ON smtp_ip_addresses FOR ALL TO oltp_owner USING (true) WITH CHECK (true);
CREATE POLICY system_works ON smtp_ip_addresses FOR ALL TO oltp_system USING (true) WITH CHECK (true);
