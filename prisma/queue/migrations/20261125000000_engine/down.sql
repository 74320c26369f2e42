-- Jobs and their outcomes stay; leases end, so what was in work runs again.
DROP FUNCTION insert_unique_job, insert_jobs, claim_jobs, pick_keyed_jobs, spend_tokens, tenant_allowances, due_tenants, take_tokens, tokens_left,
  my_held_jobs, my_jobs_in_work, held_jobs, jobs_in_work, lock_queue;

DROP INDEX queue_alert_history_burning_idx;
ALTER TABLE queue_alerts DROP COLUMN resolve_threshold, DROP COLUMN hold_seconds, DROP COLUMN above_since_at,
  DROP COLUMN below_since_at;
ALTER TABLE scheduled_jobs DROP COLUMN priority, DROP COLUMN overlap_policy, DROP COLUMN missed_run_policy,
  DROP COLUMN last_job_id, DROP COLUMN last_error;

DELETE FROM worker_leases;
DROP INDEX worker_leases_queue_name_idx;
ALTER TABLE worker_leases DROP CONSTRAINT worker_leases_jobs_check, DROP COLUMN tenant_ids, DROP COLUMN unsettled,
  ADD COLUMN updated_at timestamptz(3) NOT NULL DEFAULT clock_timestamp();
ALTER TABLE worker_leases ALTER COLUMN job_ids SET STORAGE EXTENDED;
ALTER TABLE worker_leases RESET (autovacuum_vacuum_threshold, autovacuum_vacuum_scale_factor);
SELECT keep_updated_at('worker_leases');

DROP TABLE unique_job_keys, rate_buckets;
DROP INDEX job_logs_created_at_idx;
ALTER TABLE job_logs DROP COLUMN wait_ms;

DROP INDEX jobs_claim_idx, jobs_key_idx, jobs_delayed_idx, jobs_cancel_idx, jobs_open_accepted_idx, jobs_status_idx,
  jobs_subject_idx, jobs_campaign_idx, jobs_correlation_idx, jobs_created_at_idx;
ALTER TABLE jobs RESET (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor,
  autovacuum_analyze_scale_factor, autovacuum_vacuum_cost_delay);
ALTER TABLE jobs
  DROP CONSTRAINT jobs_status_check,
  DROP COLUMN is_due, DROP COLUMN concurrency_key, DROP COLUMN cancel_requested_at,
  ADD COLUMN lease_id uuid,
  ADD CONSTRAINT jobs_status_check CHECK (status IN ('queued', 'processing', 'completed', 'failed', 'cancelled', 'expired')),
  ADD CONSTRAINT jobs_lease_check CHECK ((status = 'processing') = (lease_id IS NOT NULL));
SELECT keep_updated_at('jobs');
CREATE INDEX jobs_claim_idx ON jobs (queue_name, priority, seq, run_at) WHERE status = 'queued';
CREATE INDEX jobs_lease_idx ON jobs (queue_name, lease_id) WHERE status = 'processing';
CREATE INDEX jobs_open_accepted_idx ON jobs (job_type, accepted_at) WHERE status IN ('queued', 'processing');
CREATE INDEX jobs_list_idx ON jobs (tenant_id, created_at DESC, id DESC);
CREATE INDEX jobs_id_idx ON jobs (id);
CREATE INDEX jobs_status_idx ON jobs (tenant_id, status, created_at DESC, id DESC);
CREATE INDEX jobs_depth_idx ON jobs (tenant_id, queue_name, status, run_at) WHERE status IN ('queued', 'processing');
CREATE INDEX jobs_subject_idx ON jobs (tenant_id, subject_typename, subject_id, created_at DESC, id DESC)
  WHERE subject_id IS NOT NULL;
CREATE INDEX jobs_campaign_idx ON jobs (tenant_id, campaign_id, created_at DESC, id DESC) WHERE campaign_id IS NOT NULL;
CREATE INDEX jobs_correlation_idx ON jobs (tenant_id, correlation_id, created_at DESC, id DESC)
  WHERE correlation_id IS NOT NULL;

ALTER TABLE job_queues DROP COLUMN max_concurrent_per_tenant, DROP COLUMN max_concurrent_per_key,
  DROP COLUMN rate_limit_per_tenant, DROP COLUMN rate_limit_per_key, DROP COLUMN keep_completed_hours;

COMMENT ON COLUMN jobs.lease_id IS '[internal] lease under which it is in work; an acknowledgement under another lease changes nothing';
COMMENT ON COLUMN worker_leases.updated_at IS '[internal] last changed at';
