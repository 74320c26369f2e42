-- Search by a piece of a word, with the tenant as the index's first column.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS btree_gin;

CREATE TABLE tenant_keys (
  tenant_id uuid NOT NULL,
  version integer NOT NULL,
  wrapped_hash_key bytea NOT NULL,
  wrapped_data_key bytea NOT NULL,
  master_key_id text NOT NULL,
  retired_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT tenant_keys_pkey PRIMARY KEY (tenant_id, version),
  CONSTRAINT tenant_keys_version_check CHECK (version > 0)
);
-- Two processes that make a tenant's keys at once must end with the same ones.
CREATE UNIQUE INDEX tenant_keys_one_in_use ON tenant_keys (tenant_id) WHERE retired_at IS NULL;
SELECT make_tenant_table('tenant_keys'), keep_updated_at('tenant_keys');

CREATE TABLE compression_dictionaries (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  codec text NOT NULL,
  source text NOT NULL,
  bytes bytea NOT NULL,
  size_bytes integer NOT NULL,
  trained_on_count integer NOT NULL DEFAULT 0,
  is_active boolean NOT NULL DEFAULT true,
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT compression_dictionaries_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT compression_dictionaries_codec_check CHECK (codec IN ('brotli', 'zstd')),
  CONSTRAINT compression_dictionaries_source_check CHECK (source IN ('tenant', 'public'))
);
SELECT make_tenant_table('compression_dictionaries'), keep_updated_at('compression_dictionaries');

CREATE TABLE content_blobs (
  tenant_id uuid NOT NULL,
  hash bytea NOT NULL,
  key_version integer NOT NULL,
  codec text NOT NULL,
  cipher text NOT NULL,
  dictionary_id uuid,
  raw_size_bytes integer NOT NULL,
  stored_size_bytes integer NOT NULL,
  bytes bytea,
  location text,
  reference_count integer NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT content_blobs_pkey PRIMARY KEY (tenant_id, hash, key_version),
  CONSTRAINT content_blobs_tenant_id_dictionary_id_fkey FOREIGN KEY (tenant_id, dictionary_id)
    REFERENCES compression_dictionaries (tenant_id, id) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT content_blobs_hash_check CHECK (octet_length(hash) = 32),
  CONSTRAINT content_blobs_codec_check CHECK (codec IN ('identity', 'gzip', 'brotli', 'zstd')),
  CONSTRAINT content_blobs_cipher_check CHECK (cipher IN ('none', 'aes_256_gcm')),
  CONSTRAINT content_blobs_place_check CHECK ((bytes IS NULL) <> (location IS NULL)),
  CONSTRAINT content_blobs_reference_count_check CHECK (reference_count >= 0)
);
-- What is compressed and sealed does not compress again; EXTERNAL also lets a slice be read without the rest.
ALTER TABLE content_blobs ALTER COLUMN bytes SET STORAGE EXTERNAL;
-- Serves the removal of a dictionary: does a blob still need it?
CREATE INDEX content_blobs_tenant_id_dictionary_id_idx ON content_blobs (tenant_id, dictionary_id);
-- Serves storageStats from the index alone, and the sweep of blobs that nothing refers to.
CREATE INDEX content_blobs_sizes_idx ON content_blobs (tenant_id, reference_count, raw_size_bytes, stored_size_bytes);
SELECT make_tenant_table('content_blobs'), keep_updated_at('content_blobs');

CREATE TABLE content_objects (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  storage_key varchar(500) NOT NULL,
  content_type text NOT NULL DEFAULT 'email',
  key_version integer NOT NULL,
  raw_hash bytea NOT NULL,
  text_hash bytea,
  html_hash bytea,
  headers jsonb NOT NULL DEFAULT '{}',
  envelope jsonb NOT NULL,
  parse_status text NOT NULL,
  parse_problems text[] NOT NULL DEFAULT ARRAY[]::text[],
  raw_size_bytes integer NOT NULL,
  stored_size_bytes integer NOT NULL,
  content_hash text NOT NULL,
  attachment_count integer NOT NULL DEFAULT 0,
  retention_days integer NOT NULL DEFAULT 2555,
  expires_at timestamptz(3) NOT NULL,
  archived_at timestamptz(3),
  is_archived boolean NOT NULL DEFAULT false,
  legal_hold boolean NOT NULL DEFAULT false,
  last_accessed_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT content_objects_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT content_objects_tenant_id_raw_hash_key_version_fkey FOREIGN KEY (tenant_id, raw_hash, key_version)
    REFERENCES content_blobs (tenant_id, hash, key_version) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT content_objects_tenant_id_text_hash_key_version_fkey FOREIGN KEY (tenant_id, text_hash, key_version)
    REFERENCES content_blobs (tenant_id, hash, key_version) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT content_objects_tenant_id_html_hash_key_version_fkey FOREIGN KEY (tenant_id, html_hash, key_version)
    REFERENCES content_blobs (tenant_id, hash, key_version) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT content_objects_storage_key_check CHECK (storage_key <> ''),
  CONSTRAINT content_objects_content_type_check CHECK (content_type IN ('email', 'transactional_email')),
  CONSTRAINT content_objects_parse_status_check CHECK (parse_status IN ('parsed', 'partial', 'unparsed')),
  CONSTRAINT content_objects_retention_days_check CHECK (retention_days > 0),
  CONSTRAINT content_objects_archive_check CHECK (is_archived = (archived_at IS NOT NULL))
);
-- Serves contentObject(storageKey), Message.content and every repeat of storeMessages.
CREATE UNIQUE INDEX content_objects_tenant_id_storage_key_key ON content_objects (tenant_id, storage_key);
-- Serve the release of a blob: is it still referenced?
CREATE INDEX content_objects_tenant_id_raw_hash_idx ON content_objects (tenant_id, raw_hash);
CREATE INDEX content_objects_tenant_id_text_hash_idx ON content_objects (tenant_id, text_hash);
CREATE INDEX content_objects_tenant_id_html_hash_idx ON content_objects (tenant_id, html_hash);
-- Serves runRetention: what has expired.
CREATE INDEX content_objects_tenant_id_expires_at_idx ON content_objects (tenant_id, expires_at);
-- Serves storageStats by retention from the index alone.
CREATE INDEX content_objects_sizes_idx
  ON content_objects (tenant_id, retention_days, raw_size_bytes, stored_size_bytes, attachment_count);
SELECT make_tenant_table('content_objects'), keep_updated_at('content_objects');

CREATE TABLE content_search (
  tenant_id uuid NOT NULL,
  storage_key varchar(500) NOT NULL,
  search_vector tsvector,
  trigram_text text NOT NULL DEFAULT '',
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT content_search_pkey PRIMARY KEY (tenant_id, storage_key),
  CONSTRAINT content_search_tenant_id_storage_key_fkey FOREIGN KEY (tenant_id, storage_key)
    REFERENCES content_objects (tenant_id, storage_key) ON DELETE RESTRICT ON UPDATE RESTRICT
);
-- Serves search by word.
CREATE INDEX content_search_tenant_id_search_vector_idx ON content_search USING gin (tenant_id uuid_ops, search_vector);
-- Serves search by a piece of a word.
CREATE INDEX content_search_tenant_id_trigram_text_idx ON content_search
  USING gin (tenant_id uuid_ops, trigram_text gin_trgm_ops);
SELECT make_tenant_table('content_search'), keep_updated_at('content_search');

CREATE TABLE attachments (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  storage_key varchar(500) NOT NULL,
  position integer NOT NULL,
  filename text NOT NULL,
  mime_type text NOT NULL,
  declared_mime_type text,
  size_bytes integer NOT NULL,
  disposition text NOT NULL DEFAULT 'attachment',
  content_id text,
  blob_hash bytea NOT NULL,
  key_version integer NOT NULL,
  scan_status text NOT NULL DEFAULT 'pending',
  scan_result text,
  scanned_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT attachments_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT attachments_tenant_id_storage_key_fkey FOREIGN KEY (tenant_id, storage_key)
    REFERENCES content_objects (tenant_id, storage_key) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT attachments_tenant_id_blob_hash_key_version_fkey FOREIGN KEY (tenant_id, blob_hash, key_version)
    REFERENCES content_blobs (tenant_id, hash, key_version) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT attachments_filename_check CHECK (filename <> '' AND filename !~ '[/\\]'),
  CONSTRAINT attachments_disposition_check CHECK (disposition IN ('inline', 'attachment')),
  CONSTRAINT attachments_scan_status_check CHECK (scan_status IN ('pending', 'clean', 'infected', 'skipped'))
);
-- Serves ContentObject.attachments, in order.
CREATE UNIQUE INDEX attachments_tenant_id_storage_key_position_key ON attachments (tenant_id, storage_key, position);
-- Serves the release of an attachment's blob.
CREATE INDEX attachments_tenant_id_blob_hash_idx ON attachments (tenant_id, blob_hash);
-- Serves the scanner: oldest unscanned first.
CREATE INDEX attachments_tenant_id_scan_status_created_at_idx ON attachments (tenant_id, scan_status, created_at);
SELECT make_tenant_table('attachments'), keep_updated_at('attachments');

CREATE TABLE uploads (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  user_id uuid NOT NULL,
  filename text NOT NULL,
  expected_mime_type text NOT NULL,
  expected_size_bytes integer NOT NULL,
  expected_hash text,
  state text NOT NULL DEFAULT 'pending',
  storage_key varchar(500),
  failure_reason text,
  expires_at timestamptz(3) NOT NULL,
  finalized_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT uploads_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT uploads_state_check CHECK (state IN ('pending', 'received', 'finalized', 'expired', 'failed')),
  CONSTRAINT uploads_expected_size_bytes_check CHECK (expected_size_bytes > 0)
);
-- Serves uploads: newest first.
CREATE INDEX uploads_tenant_id_created_at_id_idx ON uploads (tenant_id, created_at DESC, id DESC);
-- Serves the clean-up of uploads past their time.
CREATE INDEX uploads_tenant_id_state_expires_at_idx ON uploads (tenant_id, state, expires_at);
SELECT make_tenant_table('uploads'), keep_updated_at('uploads');

CREATE TABLE transactional_emails (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  user_id uuid,
  type text NOT NULL,
  recipient_email text NOT NULL,
  subject text NOT NULL,
  template_variables jsonb NOT NULL DEFAULT '{}',
  content_storage_key varchar(500),
  status text NOT NULL DEFAULT 'queued',
  queued_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  sent_at timestamptz(3),
  delivered_at timestamptz(3),
  bounced_at timestamptz(3),
  failed_at timestamptz(3),
  retry_count integer NOT NULL DEFAULT 0,
  last_error_message text,
  job_id uuid,
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT transactional_emails_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT transactional_emails_tenant_id_content_storage_key_fkey FOREIGN KEY (tenant_id, content_storage_key)
    REFERENCES content_objects (tenant_id, storage_key) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT transactional_emails_type_check CHECK (type IN
    ('welcome_email', 'password_reset', 'invoice_ready', 'security_alert', 'system_maintenance', 'quota_warning')),
  CONSTRAINT transactional_emails_status_check CHECK (status IN ('queued', 'sent', 'delivered', 'bounced', 'failed'))
);
-- Serves transactionalEmails: newest first, of a status, of a user.
CREATE INDEX transactional_emails_tenant_id_created_at_id_idx
  ON transactional_emails (tenant_id, created_at DESC, id DESC);
CREATE INDEX transactional_emails_tenant_id_status_created_at_id_idx
  ON transactional_emails (tenant_id, status, created_at DESC, id DESC);
CREATE INDEX transactional_emails_tenant_id_user_id_created_at_id_idx
  ON transactional_emails (tenant_id, user_id, created_at DESC, id DESC);
-- Serves the release of a content object: is it still referenced?
CREATE INDEX transactional_emails_tenant_id_content_storage_key_idx
  ON transactional_emails (tenant_id, content_storage_key);
SELECT make_tenant_table('transactional_emails'), keep_updated_at('transactional_emails');

CREATE TABLE notifications (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  delivery_key text NOT NULL,
  user_id uuid NOT NULL,
  type text NOT NULL,
  title text NOT NULL,
  message text NOT NULL,
  channel text NOT NULL DEFAULT 'in_app',
  priority text NOT NULL DEFAULT 'normal',
  is_read boolean NOT NULL DEFAULT false,
  read_at timestamptz(3),
  expires_at timestamptz(3),
  action_url text,
  metadata jsonb NOT NULL DEFAULT '{}',
  deleted_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT notifications_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT notifications_channel_check CHECK (channel IN ('in_app', 'email', 'push')),
  CONSTRAINT notifications_priority_check CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
  CONSTRAINT notifications_read_check CHECK (is_read = (read_at IS NOT NULL))
);
-- Serves deliverNotifications: a repeat of a delivery changes nothing.
CREATE UNIQUE INDEX notifications_tenant_id_delivery_key_key ON notifications (tenant_id, delivery_key);
-- Serves notifications and User.notifications: newest first.
CREATE INDEX notifications_tenant_id_user_id_created_at_id_idx
  ON notifications (tenant_id, user_id, created_at DESC, id DESC);
-- Serves User.unreadCount and the unread alone.
CREATE INDEX notifications_unread_idx ON notifications (tenant_id, user_id, created_at DESC, id DESC)
  WHERE NOT is_read AND deleted_at IS NULL;
SELECT make_tenant_table('notifications'), keep_updated_at('notifications');

CREATE TABLE notification_preferences (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  user_id uuid NOT NULL,
  notification_type text NOT NULL,
  channel text NOT NULL,
  is_enabled boolean NOT NULL DEFAULT true,
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT notification_preferences_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT notification_preferences_channel_check CHECK (channel IN ('in_app', 'email', 'push'))
);
-- Serves notificationPreferences, and one answer per type and channel.
CREATE UNIQUE INDEX notification_preferences_tenant_id_user_id_notification_typ_key
  ON notification_preferences (tenant_id, user_id, notification_type, channel);
SELECT make_tenant_table('notification_preferences'), keep_updated_at('notification_preferences');

CREATE TABLE retention_policies (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  content_type text NOT NULL,
  retention_days integer NOT NULL,
  auto_archive boolean NOT NULL DEFAULT false,
  auto_delete boolean NOT NULL DEFAULT false,
  priority integer NOT NULL DEFAULT 100,
  is_active boolean NOT NULL DEFAULT true,
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT retention_policies_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT retention_policies_content_type_check
    CHECK (content_type IN ('email', 'transactional_email', 'notification', 'access_log')),
  CONSTRAINT retention_policies_retention_days_check CHECK (retention_days > 0)
);
-- Serves retentionPolicies in the order they apply.
CREATE INDEX retention_policies_tenant_id_priority_id_idx ON retention_policies (tenant_id, priority, id);
SELECT make_tenant_table('retention_policies'), keep_updated_at('retention_policies');

-- Outlives what it tells of, so no foreign key.
CREATE TABLE content_access_log (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  storage_key varchar(500) NOT NULL,
  attachment_id uuid,
  user_id uuid,
  access_type text NOT NULL,
  ip_address text,
  user_agent text,
  bytes integer NOT NULL DEFAULT 0,
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT content_access_log_pkey PRIMARY KEY (tenant_id, id, created_at),
  CONSTRAINT content_access_log_access_type_check CHECK (access_type IN ('read', 'download', 'preview', 'search'))
) PARTITION BY RANGE (created_at);
-- Serves contentAccessLog: newest first, and of one content object.
CREATE INDEX content_access_log_tenant_id_created_at_id_idx
  ON content_access_log (tenant_id, created_at DESC, id DESC);
CREATE INDEX content_access_log_tenant_id_storage_key_created_at_id_idx
  ON content_access_log (tenant_id, storage_key, created_at DESC, id DESC);
SELECT make_tenant_table('content_access_log');
-- A row whose month has no partition yet goes to the default one: nothing is ever refused.
SELECT make_partition('content_access_log', 'content_access_log_default', 'DEFAULT');
SELECT ensure_month_partitions('content_access_log', 2, 3);
