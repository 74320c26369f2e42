-- Monitoring: who computes what up to when, alerts with names of their own, indexes that keep up with their tables.

-- What one process at a time does every so often, and how far it has got: whoever holds the row is at it.
CREATE TABLE chore_marks (
  name text NOT NULL,
  reached_at timestamptz(3) NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT chore_marks_pkey PRIMARY KEY (name)
) WITH (fillfactor = 50);
SELECT make_platform_table('chore_marks');
SELECT keep_updated_at('chore_marks');
-- Metrics begin with the day before: what came earlier has no line in the log that says how long it waited.
INSERT INTO chore_marks (name, reached_at) VALUES
  ('minute_metrics', date_trunc('hour', clock_timestamp() - interval '1 day', 'UTC')),
  ('hour_metrics', date_trunc('hour', clock_timestamp() - interval '1 day', 'UTC')),
  ('alerts', clock_timestamp());

-- The platform's own alerts are known by their names.
UPDATE queue_alerts a SET name = a.name || ' ' || a.id
WHERE EXISTS (SELECT FROM queue_alerts b WHERE b.name = a.name AND b.id < a.id);
ALTER TABLE queue_alerts ADD CONSTRAINT queue_alerts_name_key UNIQUE (name);
ALTER TABLE queue_alert_history ADD COLUMN acknowledgement_note text;

-- Pages that no vacuum has summarized yet are read by every look into the index: a fifth of a table between two vacuums.
ALTER INDEX jobs_created_at_idx SET (autosummarize = on);
-- A partitioned index cannot be altered, only made anew.
DROP INDEX job_logs_created_at_idx;
CREATE INDEX job_logs_created_at_idx ON job_logs USING brin (created_at)
  WITH (pages_per_range = 32, autosummarize = on);
