DROP INDEX job_logs_created_at_idx;
CREATE INDEX job_logs_created_at_idx ON job_logs USING brin (created_at) WITH (pages_per_range = 32);
ALTER INDEX jobs_created_at_idx RESET (autosummarize);
ALTER TABLE queue_alert_history DROP COLUMN acknowledgement_note;
ALTER TABLE queue_alerts DROP CONSTRAINT queue_alerts_name_key;
DROP TABLE chore_marks;
