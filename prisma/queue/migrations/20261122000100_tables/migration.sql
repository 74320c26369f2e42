-- Tier 4: every promise that takes time.

-- What a queue is: read by all, changed by staff and by the machine.
CREATE TABLE job_queues (
  name varchar(100) NOT NULL,
  description text,
  default_priority integer NOT NULL DEFAULT 100,
  max_concurrent_jobs integer NOT NULL DEFAULT 10,
  timeout_seconds integer NOT NULL DEFAULT 3600,
  retry_attempts integer NOT NULL DEFAULT 3,
  backoff_base_ms integer NOT NULL DEFAULT 1000,
  backoff_multiplier double precision NOT NULL DEFAULT 2,
  rate_limit_per_minute integer,
  is_active boolean NOT NULL DEFAULT true,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT job_queues_pkey PRIMARY KEY (name),
  CONSTRAINT job_queues_limits_check CHECK (default_priority >= 1 AND max_concurrent_jobs >= 1 AND timeout_seconds >= 1
    AND retry_attempts >= 1 AND backoff_base_ms >= 0 AND backoff_multiplier >= 1
    AND (rate_limit_per_minute IS NULL OR rate_limit_per_minute >= 1))
);
SELECT make_platform_table('job_queues', '{name,description,default_priority,max_concurrent_jobs,timeout_seconds,retry_attempts,backoff_base_ms,backoff_multiplier,rate_limit_per_minute,is_active,created_at,updated_at}');
SELECT keep_updated_at('job_queues');

-- Queues whose tasks take whole batches may hold many jobs at once; the others keep the default of 10.
INSERT INTO job_queues (name, description, max_concurrent_jobs, timeout_seconds, retry_attempts) VALUES
  ('email-sending', 'Outbound mail, one message a job', 10, 3600, 3),
  ('analytics-processing', 'Events and audit entries on their way to the analytics tier', 10000, 120, 10),
  ('content-archival', 'Retention, archival and erasure of content', 10, 3600, 3),
  ('infrastructure-monitoring', 'Reputation, blocklists and load of servers and addresses', 10, 3600, 3),
  ('billing-sync', 'Usage and subscriptions', 10, 3600, 3),
  ('notification-delivery', 'Notifications on their way to users', 1000, 120, 5);

CREATE TABLE jobs (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  queue_name varchar(100) NOT NULL,
  job_type text NOT NULL,
  status text NOT NULL DEFAULT 'queued',
  priority integer NOT NULL DEFAULT 100,
  payload jsonb NOT NULL,
  result jsonb,
  attempt_count integer NOT NULL DEFAULT 0,
  max_attempts integer NOT NULL DEFAULT 3,
  queued_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  run_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  started_at timestamptz(3),
  completed_at timestamptz(3),
  failed_at timestamptz(3),
  expires_at timestamptz(3),
  accepted_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  last_error_message text,
  error_details jsonb,
  progress_percentage integer,
  progress_message text,
  unique_key text,
  user_id uuid,
  correlation_id text,
  subject_typename text,
  subject_id text,
  campaign_id uuid,
  lease_id uuid,
  created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT jobs_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT jobs_status_check CHECK (status IN ('queued', 'processing', 'completed', 'failed', 'cancelled', 'expired')),
  CONSTRAINT jobs_lease_check CHECK ((status = 'processing') = (lease_id IS NOT NULL)),
  CONSTRAINT jobs_priority_check CHECK (priority >= 1),
  CONSTRAINT jobs_attempts_check CHECK (attempt_count >= 0 AND max_attempts >= 1),
  CONSTRAINT jobs_progress_check CHECK (progress_percentage BETWEEN 0 AND 100)
);
-- Serves the claim: the queue's next due jobs, lower priority number first, without a visit to the table for run_at.
CREATE INDEX jobs_claim_idx ON jobs (queue_name, priority, seq, run_at) WHERE status = 'queued';
-- Serves the reaper (jobs of a lost lease) and the claim's count of running jobs.
CREATE INDEX jobs_lease_idx ON jobs (queue_name, lease_id) WHERE status = 'processing';
-- Serves the watermark: the oldest accepted thing of a job type that is not done yet.
CREATE INDEX jobs_open_accepted_idx ON jobs (job_type, accepted_at) WHERE status IN ('queued', 'processing');
-- Serves the expiry of jobs nobody ran in time.
CREATE INDEX jobs_expiry_idx ON jobs (expires_at) WHERE status = 'queued' AND expires_at IS NOT NULL;
-- Serves Query.jobs and Tenant.jobs.
CREATE INDEX jobs_list_idx ON jobs (tenant_id, created_at DESC, id DESC);
-- Serves staff, who know no tenant: a job by its id, and all tenants' jobs, newest first since ids are UUIDv7.
CREATE INDEX jobs_id_idx ON jobs (id);
-- Serves Query.jobs filtered by status.
CREATE INDEX jobs_status_idx ON jobs (tenant_id, status, created_at DESC, id DESC);
-- Serves a tenant's counts per queue and the age of its backlog.
CREATE INDEX jobs_depth_idx ON jobs (tenant_id, queue_name, status, run_at) WHERE status IN ('queued', 'processing');
-- Serves JobQueue.failedLast24h.
CREATE INDEX jobs_failed_idx ON jobs (tenant_id, queue_name, failed_at) WHERE status = 'failed';
-- Serves InboxMessageRef.jobs and TransactionalEmail.job.
CREATE INDEX jobs_subject_idx ON jobs (tenant_id, subject_typename, subject_id, created_at DESC, id DESC)
  WHERE subject_id IS NOT NULL;
-- Serves Campaign.jobs and Campaign.sendProgress.
CREATE INDEX jobs_campaign_idx ON jobs (tenant_id, campaign_id, created_at DESC, id DESC) WHERE campaign_id IS NOT NULL;
-- Serves Query.jobs filtered by correlation id.
CREATE INDEX jobs_correlation_idx ON jobs (tenant_id, correlation_id, created_at DESC, id DESC)
  WHERE correlation_id IS NOT NULL;
SELECT make_tenant_table('jobs');
SELECT keep_updated_at('jobs');

-- What makes a relay's repeat harmless after the job has completed: outlives the job.
CREATE TABLE enqueue_receipts (
  tenant_id uuid NOT NULL,
  source text NOT NULL,
  key text NOT NULL,
  job_id uuid NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT enqueue_receipts_pkey PRIMARY KEY (tenant_id, source, key)
);
-- Serves the trimming of receipts older than any retry or restore window.
CREATE INDEX enqueue_receipts_created_at_idx ON enqueue_receipts (created_at);
SELECT make_tenant_table('enqueue_receipts');

-- The primary key is the read path (a job's story, in order) and holds the partition column.
CREATE TABLE job_logs (
  tenant_id uuid NOT NULL,
  job_id uuid NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  attempt_number integer NOT NULL,
  log_level text NOT NULL,
  message text NOT NULL,
  context jsonb,
  duration_ms integer,
  CONSTRAINT job_logs_pkey PRIMARY KEY (tenant_id, job_id, created_at, id),
  CONSTRAINT job_logs_log_level_check CHECK (log_level IN ('debug', 'info', 'warning', 'error', 'fatal'))
) PARTITION BY RANGE (created_at);
SELECT make_tenant_table('job_logs');
SELECT make_partition('job_logs', 'job_logs_default', 'DEFAULT');
SELECT ensure_month_partitions('job_logs', 2, 3);

CREATE TABLE dead_letter_jobs (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  job_id uuid NOT NULL,
  queue_name varchar(100) NOT NULL,
  job_type text NOT NULL,
  payload jsonb NOT NULL,
  final_attempt integer NOT NULL,
  failure_reason text NOT NULL,
  error_details jsonb,
  error_fingerprint text NOT NULL,
  accepted_at timestamptz(3) NOT NULL,
  is_resolved boolean NOT NULL DEFAULT false,
  resolved_at timestamptz(3),
  resolved_by uuid,
  resolution_notes text,
  created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT dead_letter_jobs_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT dead_letter_jobs_resolved_check CHECK (is_resolved = (resolved_at IS NOT NULL))
);
-- Serves Query.deadLetters.
CREATE INDEX dead_letter_jobs_list_idx ON dead_letter_jobs (tenant_id, created_at DESC, id DESC);
-- Serves Query.deadLetters for staff.
CREATE INDEX dead_letter_jobs_created_at_idx ON dead_letter_jobs (created_at DESC, id DESC);
-- Serves Query.deadLetters of unresolved letters, which is what is usually asked.
CREATE INDEX dead_letter_jobs_open_idx ON dead_letter_jobs (tenant_id, created_at DESC, id DESC) WHERE NOT is_resolved;
-- Serves Query.deadLetterGroups and replays by error.
CREATE INDEX dead_letter_jobs_fingerprint_idx ON dead_letter_jobs (tenant_id, error_fingerprint);
-- Serves the resolution of a job's letter when the job is retried.
CREATE INDEX dead_letter_jobs_job_idx ON dead_letter_jobs (tenant_id, job_id);
-- Serves the watermark: the oldest accepted thing that waits for a person.
CREATE INDEX dead_letter_jobs_open_accepted_idx ON dead_letter_jobs (job_type, accepted_at) WHERE NOT is_resolved;
SELECT make_tenant_table('dead_letter_jobs');
SELECT keep_updated_at('dead_letter_jobs');

CREATE TABLE scheduled_jobs (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  name text NOT NULL,
  queue_name varchar(100) NOT NULL,
  job_type text NOT NULL,
  payload jsonb NOT NULL DEFAULT '{}',
  cron_expression text NOT NULL,
  timezone text NOT NULL DEFAULT 'UTC',
  is_active boolean NOT NULL DEFAULT true,
  next_run_at timestamptz(3),
  last_run_at timestamptz(3),
  run_count integer NOT NULL DEFAULT 0,
  created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT scheduled_jobs_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT scheduled_jobs_name_key UNIQUE (tenant_id, name)
);
-- Serves Query.scheduledJobs.
CREATE INDEX scheduled_jobs_list_idx ON scheduled_jobs (tenant_id, created_at DESC, id DESC);
-- Serves the scheduler: what is due.
CREATE INDEX scheduled_jobs_due_idx ON scheduled_jobs (next_run_at) WHERE is_active;
SELECT make_tenant_table('scheduled_jobs');
SELECT keep_updated_at('scheduled_jobs');

CREATE TABLE workers (
  id uuid NOT NULL,
  host text NOT NULL,
  pid integer NOT NULL,
  queues text[] NOT NULL,
  started_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  last_heartbeat_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  stopped_at timestamptz(3),
  running integer NOT NULL DEFAULT 0,
  processed bigint NOT NULL DEFAULT 0,
  failed bigint NOT NULL DEFAULT 0,
  created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT workers_pkey PRIMARY KEY (id)
);
-- Serves Query.workers and the clean-up of workers long gone.
CREATE INDEX workers_last_heartbeat_at_idx ON workers (last_heartbeat_at DESC);
SELECT make_platform_table('workers');
SELECT keep_updated_at('workers');

-- One row per claimed batch. Whoever takes a batch away (the reaper) ends the lease; `fencing` orders leases.
CREATE TABLE worker_leases (
  id uuid NOT NULL,
  worker_id uuid NOT NULL,
  queue_name varchar(100) NOT NULL,
  fencing bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  job_ids uuid[] NOT NULL,
  heartbeat_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz(3) NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT worker_leases_pkey PRIMARY KEY (id),
  CONSTRAINT worker_leases_worker_id_fkey FOREIGN KEY (worker_id) REFERENCES workers (id) ON DELETE RESTRICT
);
-- Serves the clean-up of workers: one that has a lease stays.
CREATE INDEX worker_leases_worker_id_idx ON worker_leases (worker_id);
-- Serves the reaper.
CREATE INDEX worker_leases_expires_at_idx ON worker_leases (expires_at);
SELECT make_platform_table('worker_leases');
SELECT keep_updated_at('worker_leases');

CREATE TABLE job_metrics (
  granularity text NOT NULL,
  bucket_at timestamptz(3) NOT NULL,
  queue_name varchar(100) NOT NULL,
  job_type text NOT NULL,
  enqueued integer NOT NULL DEFAULT 0,
  completed integer NOT NULL DEFAULT 0,
  failed integer NOT NULL DEFAULT 0,
  retried integer NOT NULL DEFAULT 0,
  wait_p50_ms integer,
  wait_p95_ms integer,
  wait_p99_ms integer,
  run_p50_ms integer,
  run_p95_ms integer,
  run_p99_ms integer,
  created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT job_metrics_pkey PRIMARY KEY (granularity, bucket_at, queue_name, job_type),
  CONSTRAINT job_metrics_granularity_check CHECK (granularity IN ('minute', 'hour'))
);
SELECT make_platform_table('job_metrics');
SELECT keep_updated_at('job_metrics');

CREATE TABLE queue_alerts (
  id uuid NOT NULL,
  name text NOT NULL,
  queue_name varchar(100),
  alert_type text NOT NULL,
  threshold double precision NOT NULL,
  window_seconds integer NOT NULL DEFAULT 300,
  severity text NOT NULL DEFAULT 'warning',
  channels text[] NOT NULL DEFAULT '{in_app}',
  is_active boolean NOT NULL DEFAULT true,
  created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT queue_alerts_pkey PRIMARY KEY (id),
  CONSTRAINT queue_alerts_queue_name_fkey FOREIGN KEY (queue_name) REFERENCES job_queues (name) ON DELETE RESTRICT,
  CONSTRAINT queue_alerts_alert_type_check CHECK (alert_type IN
    ('high_pending', 'slow_processing', 'high_error_rate', 'worker_offline', 'backlog_age', 'dead_letters')),
  CONSTRAINT queue_alerts_severity_check CHECK (severity IN ('info', 'warning', 'critical')),
  CONSTRAINT queue_alerts_window_check CHECK (window_seconds >= 1)
);
SELECT make_platform_table('queue_alerts');
SELECT keep_updated_at('queue_alerts');

CREATE TABLE queue_alert_history (
  id uuid NOT NULL,
  alert_id uuid NOT NULL,
  value double precision NOT NULL,
  message text NOT NULL,
  fired_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  resolved_at timestamptz(3),
  acknowledged_at timestamptz(3),
  acknowledged_by text,
  created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT queue_alert_history_pkey PRIMARY KEY (id),
  CONSTRAINT queue_alert_history_alert_id_fkey FOREIGN KEY (alert_id) REFERENCES queue_alerts (id) ON DELETE RESTRICT
);
-- Serves Query.queueAlertHistory.
CREATE INDEX queue_alert_history_fired_at_id_idx ON queue_alert_history (fired_at DESC, id DESC);
-- Serves QueueAlert.history and the search for an alert that still burns.
CREATE INDEX queue_alert_history_alert_id_fired_at_idx ON queue_alert_history (alert_id, fired_at DESC);
SELECT make_platform_table('queue_alert_history');
SELECT keep_updated_at('queue_alert_history');
