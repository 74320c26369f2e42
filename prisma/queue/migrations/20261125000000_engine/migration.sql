-- The engine: a claim writes one lease row and no job row; limits are kept inside the claim.

-- ---- What queues allow ----

ALTER TABLE job_queues
  ADD COLUMN max_concurrent_per_tenant integer,
  ADD COLUMN max_concurrent_per_key integer,
  ADD COLUMN rate_limit_per_tenant integer,
  ADD COLUMN rate_limit_per_key integer,
  ADD COLUMN keep_completed_hours integer NOT NULL DEFAULT 168,
  ADD CONSTRAINT job_queues_more_limits_check CHECK (
    (max_concurrent_per_tenant IS NULL OR max_concurrent_per_tenant >= 1)
    AND (max_concurrent_per_key IS NULL OR max_concurrent_per_key >= 1)
    AND (rate_limit_per_tenant IS NULL OR rate_limit_per_tenant >= 1)
    AND (rate_limit_per_key IS NULL OR rate_limit_per_key >= 1) AND keep_completed_hours >= 0);
GRANT SELECT (max_concurrent_per_tenant, max_concurrent_per_key, rate_limit_per_tenant, rate_limit_per_key,
  keep_completed_hours) ON job_queues TO queue_app;

-- Token buckets of queues with a rate: one for the queue, one per tenant, one per key.
CREATE TABLE rate_buckets (
  queue_name varchar(100) NOT NULL,
  scope text NOT NULL,
  holder text NOT NULL,
  tokens double precision NOT NULL,
  refilled_at timestamptz(3) NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT rate_buckets_pkey PRIMARY KEY (queue_name, scope, holder),
  CONSTRAINT rate_buckets_scope_check CHECK (scope IN ('queue', 'tenant', 'key'))
) WITH (fillfactor = 50);
-- Serves the clean-up of buckets long full.
CREATE INDEX rate_buckets_refilled_at_idx ON rate_buckets (refilled_at);
SELECT make_platform_table('rate_buckets');

-- ---- Jobs: few indexes, since each costs on the way in and again on the way out ----

UPDATE jobs SET status = 'queued', lease_id = NULL WHERE status = 'processing';
DELETE FROM worker_leases;

DROP INDEX jobs_claim_idx, jobs_lease_idx, jobs_open_accepted_idx, jobs_list_idx, jobs_id_idx, jobs_status_idx,
  jobs_depth_idx, jobs_subject_idx, jobs_campaign_idx, jobs_correlation_idx;
-- A BEFORE UPDATE trigger locks each row first, which costs as much as the update: the engine's statements set it.
DROP TRIGGER keep_updated_at ON jobs;

ALTER TABLE jobs
  DROP CONSTRAINT jobs_lease_check,
  DROP CONSTRAINT jobs_status_check,
  DROP COLUMN lease_id,
  ADD COLUMN is_due boolean NOT NULL DEFAULT true,
  ADD COLUMN concurrency_key text,
  ADD COLUMN cancel_requested_at timestamptz(3),
  ADD CONSTRAINT jobs_status_check CHECK (status IN ('queued', 'completed', 'failed', 'cancelled', 'expired'));
UPDATE jobs SET is_due = false WHERE status = 'queued' AND run_at > now();

-- The second version of a row, its outcome, stays on the page of the first: that halves what an outcome costs.
ALTER TABLE jobs SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.1,
  autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

-- Serves the claim: each tenant's due jobs, lower priority number first, then in order of arrival. Completed jobs are not
-- in it, so a claim never meets the past.
CREATE INDEX jobs_claim_idx ON jobs (queue_name, tenant_id, priority, seq) WHERE status = 'queued' AND is_due;
-- Serves the claim of queues with limits per key (a mailbox).
CREATE INDEX jobs_key_idx ON jobs (queue_name, tenant_id, concurrency_key, priority, seq)
  WHERE status = 'queued' AND is_due AND concurrency_key IS NOT NULL;
-- Serves the claim: jobs whose time has come.
CREATE INDEX jobs_delayed_idx ON jobs (queue_name, run_at) WHERE status = 'queued' AND NOT is_due;
-- Serves workers that look for running jobs somebody wants stopped.
CREATE INDEX jobs_cancel_idx ON jobs (cancel_requested_at) WHERE status = 'queued' AND cancel_requested_at IS NOT NULL;
-- Serves the watermark: the oldest accepted event that is not counted yet.
CREATE INDEX jobs_open_accepted_idx ON jobs (job_type, accepted_at) WHERE status = 'queued' AND job_type = 'rollUpEvents';
-- Serves Query.jobs of what went wrong; other lists walk the primary key, whose ids are UUIDv7 and so in order of arrival.
CREATE INDEX jobs_status_idx ON jobs (tenant_id, status, id DESC) WHERE status IN ('failed', 'cancelled', 'expired');
-- Serves InboxMessageRef.jobs, TransactionalEmail.job and Domain.monitoring.
CREATE INDEX jobs_subject_idx ON jobs (tenant_id, subject_typename, subject_id, id DESC) WHERE subject_id IS NOT NULL;
-- Serves Campaign.jobs and Campaign.sendProgress.
CREATE INDEX jobs_campaign_idx ON jobs (tenant_id, campaign_id, id DESC) WHERE campaign_id IS NOT NULL;
-- Serves Query.jobs filtered by correlation id.
CREATE INDEX jobs_correlation_idx ON jobs (tenant_id, correlation_id, id DESC) WHERE correlation_id IS NOT NULL;
-- Serves what looks at a span of time over all tenants: metrics, the removal of what is old. A few kilobytes.
CREATE INDEX jobs_created_at_idx ON jobs USING brin (created_at) WITH (pages_per_range = 32);

ALTER TABLE job_logs ADD COLUMN wait_ms integer;
CREATE INDEX job_logs_created_at_idx ON job_logs USING brin (created_at) WITH (pages_per_range = 32);

-- Who holds a unique key, and until when.
CREATE TABLE unique_job_keys (
  tenant_id uuid NOT NULL,
  queue_name varchar(100) NOT NULL,
  key text NOT NULL,
  job_id uuid NOT NULL,
  expires_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT unique_job_keys_pkey PRIMARY KEY (tenant_id, queue_name, key)
);
-- Serves the clean-up of keys past their window.
CREATE INDEX unique_job_keys_expires_at_idx ON unique_job_keys (expires_at);
SELECT make_tenant_table('unique_job_keys');

-- ---- Leases: the one row a claim writes ----

DROP TRIGGER keep_updated_at ON worker_leases;
ALTER TABLE worker_leases
  DROP COLUMN updated_at,
  ADD COLUMN tenant_ids uuid[] NOT NULL,
  ADD COLUMN unsettled integer NOT NULL,
  ADD CONSTRAINT worker_leases_jobs_check CHECK (cardinality(job_ids) = cardinality(tenant_ids));
-- Ids do not compress; trying to costs more than it could save.
ALTER TABLE worker_leases ALTER COLUMN job_ids SET STORAGE EXTERNAL, ALTER COLUMN tenant_ids SET STORAGE EXTERNAL;
ALTER TABLE worker_leases SET (autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0.0);
-- Serves the claim: what others hold of the queue.
CREATE INDEX worker_leases_queue_name_idx ON worker_leases (queue_name);

-- ---- Schedules and alerts ----

ALTER TABLE scheduled_jobs
  ADD COLUMN priority integer,
  ADD COLUMN overlap_policy text NOT NULL DEFAULT 'skip',
  ADD COLUMN missed_run_policy text NOT NULL DEFAULT 'run_once',
  ADD COLUMN last_job_id uuid,
  ADD COLUMN last_error text,
  ADD CONSTRAINT scheduled_jobs_overlap_check CHECK (overlap_policy IN ('skip', 'allow')),
  ADD CONSTRAINT scheduled_jobs_missed_check CHECK (missed_run_policy IN ('skip', 'run_once', 'run_all'));

ALTER TABLE queue_alerts
  ADD COLUMN resolve_threshold double precision,
  ADD COLUMN hold_seconds integer NOT NULL DEFAULT 60,
  ADD COLUMN above_since_at timestamptz(3),
  ADD COLUMN below_since_at timestamptz(3),
  ADD CONSTRAINT queue_alerts_hold_check CHECK (hold_seconds >= 0);
-- Serves the evaluation: which alert burns already.
CREATE UNIQUE INDEX queue_alert_history_burning_idx ON queue_alert_history (alert_id) WHERE resolved_at IS NULL;

-- ---- The claim ----

-- Claims of one queue take turns, so that limits are counted and not guessed. So do those who change a job that waits
-- (cancel, reprioritize, replace): under this lock, a job that is in no lease is in nobody's hands.
CREATE FUNCTION lock_queue(p_queue text) RETURNS void LANGUAGE sql AS $$
  SELECT pg_advisory_xact_lock(hashtext('queue'), hashtext(p_queue))
$$;

-- Jobs in work of one tenant, or with NULL of all: those that a lease holds and nobody has settled.
CREATE FUNCTION jobs_in_work(p_tenant uuid)
RETURNS TABLE (tenant_id uuid, id uuid, queue_name varchar, lease_id uuid, worker_id uuid, started_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT j.tenant_id, j.id, l.queue_name, l.id, l.worker_id, l.created_at
  FROM worker_leases l CROSS JOIN LATERAL unnest(l.tenant_ids, l.job_ids) AS h (tenant_id, id)
  JOIN jobs j ON j.tenant_id = h.tenant_id AND j.id = h.id
  WHERE j.status = 'queued' AND (p_tenant IS NULL OR h.tenant_id = p_tenant)
$$;

-- The same without a look at the jobs: which of these a lease holds. What has an outcome is not asked for.
CREATE FUNCTION held_jobs(p_tenant uuid, p_ids uuid[]) RETURNS TABLE (id uuid, started_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT h.id, l.created_at FROM worker_leases l CROSS JOIN LATERAL unnest(l.tenant_ids, l.job_ids) AS h (tenant_id, id)
  WHERE h.id = ANY (p_ids) AND (p_tenant IS NULL OR h.tenant_id = p_tenant)
$$;

-- The app role asks for its own tenant only: the setting that policies read decides, not an argument.
CREATE FUNCTION my_jobs_in_work()
RETURNS TABLE (tenant_id uuid, id uuid, queue_name varchar, lease_id uuid, worker_id uuid, started_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT * FROM jobs_in_work(current_setting('app.current_tenant_id')::uuid)
$$;

CREATE FUNCTION my_held_jobs(p_ids uuid[]) RETURNS TABLE (id uuid, started_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT * FROM held_jobs(current_setting('app.current_tenant_id')::uuid, p_ids)
$$;

REVOKE EXECUTE ON FUNCTION lock_queue, jobs_in_work, held_jobs, my_jobs_in_work, my_held_jobs FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lock_queue TO queue_app, queue_system;
GRANT EXECUTE ON FUNCTION my_jobs_in_work, my_held_jobs TO queue_app;
GRANT EXECUTE ON FUNCTION jobs_in_work, held_jobs TO queue_system;

-- What is left in a bucket now, NULL without a rate. A bucket holds a tenth of a minute's tokens, at least one: that is
-- the largest burst. A clock that was set back counts as time that went by: else nothing flowed until it had caught up.
CREATE FUNCTION tokens_left(p_tokens double precision, p_refilled_at timestamptz, p_per_minute integer)
RETURNS double precision LANGUAGE sql VOLATILE AS $$
  SELECT CASE WHEN p_per_minute IS NOT NULL THEN least(greatest(1, p_per_minute / 10.0), coalesce(p_tokens, p_per_minute)
    + coalesce(abs(extract(epoch FROM clock_timestamp() - p_refilled_at)), 0) * p_per_minute / 60.0) END
$$;

-- Takes tokens out of buckets, each of which had enough a moment ago under the queue's lock.
CREATE FUNCTION take_tokens(p_queue text, p_scope text, p_holders text[], p_taken integer[], p_per_minute integer)
RETURNS void LANGUAGE sql AS $$
  INSERT INTO rate_buckets AS b (queue_name, scope, holder, tokens, refilled_at)
  SELECT p_queue, p_scope, t.holder, tokens_left(b.tokens, b.refilled_at, p_per_minute) - t.taken, clock_timestamp()
  FROM unnest(p_holders, p_taken) AS t (holder, taken)
  LEFT JOIN rate_buckets b ON b.queue_name = p_queue AND b.scope = p_scope AND b.holder = t.holder
  ON CONFLICT (queue_name, scope, holder) DO UPDATE SET tokens = excluded.tokens, refilled_at = excluded.refilled_at
$$;

-- Tenants with due jobs in a queue, at most `p_most`, beginning after `p_after` and going round: one look into the index
-- per tenant, however many jobs each has.
CREATE FUNCTION due_tenants(p_queue text, p_after uuid, p_most integer, p_from_seq bigint) RETURNS uuid[]
LANGUAGE plpgsql STABLE AS $$
DECLARE
  found_tenants uuid[] := '{}';
  last_tenant uuid := p_after;
  has_wrapped boolean := false;
BEGIN
  WHILE cardinality(found_tenants) < p_most LOOP
    SELECT tenant_id INTO last_tenant FROM jobs
    WHERE queue_name = p_queue AND status = 'queued' AND is_due AND tenant_id > last_tenant AND seq >= p_from_seq
    ORDER BY tenant_id LIMIT 1;
    IF NOT FOUND THEN
      EXIT WHEN has_wrapped;
      has_wrapped := true;
      -- The platform's own tenant is the lowest there is: begin below it.
      SELECT tenant_id INTO last_tenant FROM jobs
      WHERE queue_name = p_queue AND status = 'queued' AND is_due AND seq >= p_from_seq ORDER BY tenant_id LIMIT 1;
      EXIT WHEN NOT FOUND;
    END IF;
    EXIT WHEN has_wrapped AND (last_tenant > p_after OR last_tenant = ANY (found_tenants));
    found_tenants := found_tenants || last_tenant;
  END LOOP;
  RETURN found_tenants;
END $$;

-- Takes a queue's next due jobs under one new lease and answers them in the order in which to run them.
--
-- Between tenants every claim shares equally; within a tenant the lower priority number runs first, then the earlier
-- arrival. With `p_from_below` the claim begins with low priorities: a tenth of the claims do, so that none starves.
-- Limits of the queue, per tenant and per key, are counted from the leases; rates are taken out of buckets.
CREATE FUNCTION claim_jobs(p_queue text, p_worker uuid, p_lease uuid, p_limit integer, p_lease_ms double precision,
  p_after uuid, p_from_below boolean, p_from_seq bigint)
RETURNS TABLE (tenant_id uuid, id uuid, seq double precision, job_type text, payload jsonb, attempt integer,
  max_attempts integer, queued_ms double precision, wait_ms double precision, correlation_id text, user_id uuid,
  subject_typename text, subject_id text, timeout_ms integer)
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp SET enable_seqscan = off
-- Else its statements are planned anew at each call, which takes longer than they do.
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  q job_queues;
  is_keyed boolean;
  room integer;
  tokens double precision;
  busy uuid[];
  floors integer[] := '{0}';
  lowest integer;
  asked integer;
  most integer;
  tenants uuid[];
  allowances integer[];
  quota integer;
  pass_tenants uuid[];
  pass_ids uuid[];
  pass_rows tid[];
  taken_tenants uuid[] := '{}';
  taken_ids uuid[] := '{}';
  taken_rows tid[] := '{}';
  answered integer;
BEGIN
  PERFORM lock_queue(p_queue);
  SELECT * INTO q FROM job_queues WHERE name = p_queue AND is_active;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  is_keyed := q.max_concurrent_per_key IS NOT NULL OR q.rate_limit_per_key IS NOT NULL;

  UPDATE jobs j SET is_due = true
  FROM (SELECT tenant_id, id FROM jobs
        WHERE queue_name = p_queue AND status = 'queued' AND NOT is_due
          -- Asked once: compared with the clock itself, every job that is not due yet would be looked at.
          AND run_at <= (SELECT clock_timestamp() + interval '1 millisecond')
        ORDER BY run_at LIMIT 1000) AS due
  WHERE j.tenant_id = due.tenant_id AND j.id = due.id;

  SELECT least(p_limit, q.max_concurrent_jobs - coalesce(sum(unsettled), 0)) INTO room
  FROM worker_leases WHERE queue_name = p_queue;
  IF q.rate_limit_per_minute IS NOT NULL THEN
    SELECT tokens_left(max(b.tokens), max(b.refilled_at), q.rate_limit_per_minute) INTO tokens
    FROM rate_buckets b WHERE b.queue_name = p_queue AND b.scope = 'queue' AND b.holder = '';
    room := least(room, floor(tokens));
  END IF;
  IF room <= 0 THEN
    RETURN;
  END IF;

  busy := ARRAY (SELECT unnest(job_ids) FROM worker_leases WHERE queue_name = p_queue);
  IF p_from_below THEN
    floors := '{150,50,0}';
  END IF;
  FOREACH lowest IN ARRAY floors LOOP
    asked := 0;
    -- Those asked first may all be in work or at their limits: then the ones behind them are asked, more at a time.
    LOOP
      most := greatest(room, asked * 4);
      tenants := (due_tenants(p_queue, p_after, most, p_from_seq))[asked + 1:];
      asked := asked + cardinality(tenants);
      allowances := tenant_allowances(q, tenants, taken_tenants);
      -- Each pass asks those who had as much as they were asked for: usually one is enough.
      WHILE room > 0 AND cardinality(tenants) > 0 LOOP
        quota := ceil(room::double precision / cardinality(tenants));
        IF is_keyed THEN
          SELECT k.tenant_ids, k.job_ids, k.job_rows INTO pass_tenants, pass_ids, pass_rows
          FROM pick_keyed_jobs(q, tenants, allowances, busy, taken_ids, lowest, room) AS k;
        ELSE
          SELECT array_agg(p.tenant_id), array_agg(p.id), array_agg(p.ctid) INTO pass_tenants, pass_ids, pass_rows
          FROM (
            SELECT r.tenant_id, r.id, r.ctid
            FROM (
              SELECT t.tenant_id, j.id, j.ctid, j.priority, j.seq, j.band,
                row_number() OVER (PARTITION BY t.tenant_id, j.band ORDER BY j.priority, j.seq) AS turn
              FROM unnest(tenants, allowances) AS t (tenant_id, allowance)
              CROSS JOIN LATERAL (
                SELECT o.id, o.ctid, o.priority, o.seq, (o.priority > 50)::int + (o.priority > 150)::int AS band
                FROM jobs o
                WHERE o.queue_name = p_queue AND o.tenant_id = t.tenant_id AND o.priority > lowest AND o.seq >= p_from_seq
                  AND o.status = 'queued' AND o.is_due AND (o.expires_at IS NULL OR o.expires_at > clock_timestamp())
                  AND o.id NOT IN (SELECT unnest(busy))
                ORDER BY o.priority, o.seq LIMIT least(quota, t.allowance)
              ) AS j
            ) AS r
            ORDER BY r.band, r.turn, r.priority, r.seq LIMIT room
          ) AS p;
        END IF;
        EXIT WHEN pass_ids IS NULL;
        room := room - cardinality(pass_ids);
        taken_tenants := taken_tenants || pass_tenants;
        taken_ids := taken_ids || pass_ids;
        taken_rows := taken_rows || pass_rows;
        EXIT WHEN is_keyed OR room = 0;
        busy := busy || pass_ids;
        SELECT coalesce(array_agg(c.tenant_id), '{}') INTO tenants
        FROM (SELECT g.tenant_id, count(*) AS got FROM unnest(pass_tenants) AS g (tenant_id) GROUP BY g.tenant_id) AS c
        WHERE c.got >= quota;
        allowances := tenant_allowances(q, tenants, taken_tenants);
      END LOOP;
      EXIT WHEN room = 0 OR asked < most;
    END LOOP;
  END LOOP;
  IF cardinality(taken_ids) = 0 THEN
    RETURN;
  END IF;

  INSERT INTO worker_leases (id, worker_id, queue_name, job_ids, tenant_ids, unsettled, expires_at)
  VALUES (p_lease, p_worker, p_queue, taken_ids, taken_tenants, cardinality(taken_ids),
    clock_timestamp() + p_lease_ms * interval '1 millisecond');
  PERFORM spend_tokens(q, taken_tenants, taken_ids);
  -- By their places in the table: under the lock nobody has moved them since they were picked.
  RETURN QUERY
    SELECT j.tenant_id, j.id,
      -- The next claim may begin where this one did, unless there are tenants who were not asked.
      CASE WHEN asked < most THEN j.seq::double precision ELSE 0 END,
      j.job_type, j.payload, j.attempt_count + 1, j.max_attempts,
      date_part('epoch', j.queued_at) * 1000,
      greatest(0, date_part('epoch', clock_timestamp() - greatest(j.run_at, j.queued_at)) * 1000),
      j.correlation_id, j.user_id, j.subject_typename, j.subject_id, q.timeout_seconds * 1000
    FROM unnest(taken_rows) WITH ORDINALITY AS h (ctid, place)
    JOIN jobs j ON j.ctid = h.ctid
    ORDER BY h.place;
  -- Else whoever settles jobs by their places in the lease would settle others.
  GET DIAGNOSTICS answered = ROW_COUNT;
  IF answered < cardinality(taken_ids) THEN
    RAISE EXCEPTION 'a job was written to while it was claimed' USING ERRCODE = 'serialization_failure';
  END IF;
END $$;

-- How many more jobs each tenant may have in work now, over what it already has and what this claim has taken for it.
CREATE FUNCTION tenant_allowances(q job_queues, tenants uuid[], taken uuid[]) RETURNS integer[]
LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF q.max_concurrent_per_tenant IS NULL AND q.rate_limit_per_tenant IS NULL THEN
    RETURN array_fill(2147483647, ARRAY[cardinality(tenants)]);
  END IF;
  RETURN ARRAY (
    SELECT greatest(0, least(
      coalesce(q.max_concurrent_per_tenant, 2147483647) - coalesce(w.running, 0),
      coalesce(floor(tokens_left(b.tokens, b.refilled_at, q.rate_limit_per_tenant)), 2147483647))
      - (SELECT count(*) FROM unnest(taken) AS x (id) WHERE x.id = t.tenant_id))::integer
    FROM unnest(tenants) WITH ORDINALITY AS t (tenant_id, position)
    LEFT JOIN (SELECT i.tenant_id, count(*) AS running FROM jobs_in_work(NULL) i WHERE i.queue_name = q.name
               GROUP BY i.tenant_id) AS w ON w.tenant_id = t.tenant_id
    LEFT JOIN rate_buckets b ON b.queue_name = q.name AND b.scope = 'tenant' AND b.holder = t.tenant_id::text
    ORDER BY t.position);
END $$;

-- The same choice for a queue with limits per key: one look per key, then what each key may have, shared between tenants.
CREATE FUNCTION pick_keyed_jobs(q job_queues, tenants uuid[], allowances integer[], busy uuid[], taken uuid[],
  lowest integer, room integer, OUT tenant_ids uuid[], OUT job_ids uuid[], OUT job_rows tid[])
LANGUAGE plpgsql STABLE AS $$
DECLARE
  held uuid[] := busy || taken;
BEGIN
  WITH RECURSIVE key AS (
    SELECT t.tenant_id, t.allowance, (SELECT min(o.concurrency_key) FROM jobs o
      WHERE o.queue_name = q.name AND o.tenant_id = t.tenant_id AND o.status = 'queued' AND o.is_due
        AND o.concurrency_key IS NOT NULL) AS name
    FROM unnest(tenants, allowances) AS t (tenant_id, allowance)
    UNION ALL
    SELECT k.tenant_id, k.allowance, (SELECT min(o.concurrency_key) FROM jobs o
      WHERE o.queue_name = q.name AND o.tenant_id = k.tenant_id AND o.status = 'queued' AND o.is_due
        AND o.concurrency_key > k.name)
    FROM key k WHERE k.name IS NOT NULL
  ), running AS (
    SELECT r.tenant_id, r.concurrency_key AS name, count(*) AS jobs, count(*) FILTER (WHERE r.is_taken) AS taken
    FROM (SELECT j.tenant_id, j.concurrency_key, false AS is_taken
          FROM jobs_in_work(NULL) i JOIN jobs j ON j.tenant_id = i.tenant_id AND j.id = i.id WHERE i.queue_name = q.name
          UNION ALL SELECT j.tenant_id, j.concurrency_key, true FROM unnest(tenants) AS t (id)
          JOIN jobs j ON j.tenant_id = t.id AND j.id = ANY (taken)) AS r
    WHERE r.concurrency_key IS NOT NULL
    GROUP BY r.tenant_id, r.concurrency_key
  ), allowed AS (
    SELECT k.tenant_id, k.allowance AS tenant_allowance, k.name, least(room, k.allowance,
      coalesce(q.max_concurrent_per_key, 2147483647) - coalesce(r.jobs, 0),
      coalesce(floor(tokens_left(b.tokens, b.refilled_at, q.rate_limit_per_key)) - coalesce(r.taken, 0), 2147483647)) AS allowance
    FROM key k
    LEFT JOIN running r ON r.tenant_id = k.tenant_id AND r.name = k.name
    LEFT JOIN rate_buckets b ON b.queue_name = q.name AND b.scope = 'key' AND b.holder = k.tenant_id || ':' || k.name
    WHERE k.name IS NOT NULL
    UNION ALL
    SELECT t.tenant_id, t.allowance, NULL, least(room, t.allowance) FROM unnest(tenants, allowances) AS t (tenant_id, allowance)
  ), candidate AS (
    SELECT a.tenant_id, a.tenant_allowance, j.*,
      row_number() OVER (PARTITION BY a.tenant_id, a.name ORDER BY j.priority, j.seq) AS turn_of_key
    FROM allowed a CROSS JOIN LATERAL (
      (SELECT o.id, o.ctid AS place_in_table, o.priority, o.seq FROM jobs o
       WHERE a.name IS NOT NULL AND o.queue_name = q.name AND o.tenant_id = a.tenant_id AND o.concurrency_key = a.name
         AND o.priority > lowest AND o.status = 'queued' AND o.is_due
         AND (o.expires_at IS NULL OR o.expires_at > clock_timestamp()) AND o.id NOT IN (SELECT unnest(held))
       ORDER BY o.priority, o.seq LIMIT greatest(0, a.allowance))
      UNION ALL
      (SELECT o.id, o.ctid AS place_in_table, o.priority, o.seq FROM jobs o
       WHERE a.name IS NULL AND o.queue_name = q.name AND o.tenant_id = a.tenant_id AND o.concurrency_key IS NULL
         AND o.priority > lowest AND o.status = 'queued' AND o.is_due
         AND (o.expires_at IS NULL OR o.expires_at > clock_timestamp()) AND o.id NOT IN (SELECT unnest(held))
       ORDER BY o.priority, o.seq LIMIT greatest(0, a.allowance))
    ) AS j
  ), ranked AS (
    SELECT c.*, (c.priority > 50)::int + (c.priority > 150)::int AS band,
      row_number() OVER (PARTITION BY c.tenant_id ORDER BY (c.priority > 50)::int + (c.priority > 150)::int,
        c.turn_of_key, c.priority, c.seq) AS turn
    FROM candidate c
  ), chosen AS (
    SELECT r.tenant_id, r.id, r.place_in_table, row_number() OVER (ORDER BY r.band, r.turn, r.priority, r.seq) AS place
    FROM ranked r WHERE r.turn <= r.tenant_allowance
    ORDER BY r.band, r.turn, r.priority, r.seq LIMIT room
  )
  SELECT array_agg(c.tenant_id ORDER BY c.place), array_agg(c.id ORDER BY c.place),
    array_agg(c.place_in_table ORDER BY c.place) INTO tenant_ids, job_ids, job_rows FROM chosen c;
END $$;

-- Pays for a claim in each bucket that the queue has.
CREATE FUNCTION spend_tokens(q job_queues, taken_tenants uuid[], taken_ids uuid[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  IF q.rate_limit_per_minute IS NOT NULL THEN
    PERFORM take_tokens(q.name, 'queue', ARRAY[''], ARRAY[cardinality(taken_ids)], q.rate_limit_per_minute);
  END IF;
  IF q.rate_limit_per_tenant IS NOT NULL THEN
    PERFORM take_tokens(q.name, 'tenant', array_agg(s.holder), array_agg(s.taken), q.rate_limit_per_tenant)
    FROM (SELECT t.tenant_id::text AS holder, count(*)::integer AS taken FROM unnest(taken_tenants) AS t (tenant_id)
          GROUP BY t.tenant_id) AS s;
  END IF;
  IF q.rate_limit_per_key IS NOT NULL THEN
    PERFORM take_tokens(q.name, 'key', array_agg(s.holder), array_agg(s.taken), q.rate_limit_per_key)
    FROM (SELECT j.tenant_id || ':' || j.concurrency_key AS holder, count(*)::integer AS taken
          FROM unnest(taken_tenants, taken_ids) AS t (tenant_id, id)
          JOIN jobs j ON j.tenant_id = t.tenant_id AND j.id = t.id
          WHERE j.concurrency_key IS NOT NULL GROUP BY j.tenant_id, j.concurrency_key) AS s
    HAVING count(*) > 0;
  END IF;
END $$;

REVOKE EXECUTE ON FUNCTION tokens_left, take_tokens, due_tenants, claim_jobs, tenant_allowances, pick_keyed_jobs,
  spend_tokens FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tokens_left, take_tokens, due_tenants, claim_jobs, tenant_allowances, pick_keyed_jobs,
  spend_tokens TO queue_system;

-- ---- Enqueueing ----

-- Enqueues jobs as the engine has checked them, an array of objects. A receipt that is known already keeps its item out.
-- Receipts go in in the order of their keys: two relays that repeat the same batch wait for each other, not in a circle.
-- With `p_wake` it notifies waiting workers, which costs every such commit its turn: for a few jobs now and then.
CREATE FUNCTION insert_jobs(p_jobs jsonb, p_wake boolean) RETURNS TABLE (job_id uuid, job_queue varchar, is_ready boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  RETURN QUERY
  WITH input AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(p_jobs) AS i ("jobId" uuid, "tenantId" uuid, source text, key text,
      "queueName" text, "jobType" text, payload jsonb, priority int, "runAt" timestamptz, "delayMs" float8,
      "expiresAt" timestamptz, "acceptedAt" timestamptz, "maxAttempts" int, "uniqueKey" text, "concurrencyKey" text,
      "correlationId" text, "userId" uuid, "subjectTypename" text, "subjectId" text, "campaignId" uuid)
  ), receipt AS (
    INSERT INTO enqueue_receipts (tenant_id, source, key, job_id)
    SELECT i."tenantId", i.source, i.key, i."jobId" FROM input i WHERE i.key IS NOT NULL
    ORDER BY i."tenantId", i.source, i.key
    ON CONFLICT (tenant_id, source, key) DO NOTHING
    RETURNING enqueue_receipts.job_id
  )
  INSERT INTO jobs AS j (tenant_id, id, queue_name, job_type, payload, priority, max_attempts, run_at, is_due, expires_at,
    accepted_at, unique_key, concurrency_key, correlation_id, user_id, subject_typename, subject_id, campaign_id)
  SELECT i."tenantId", i."jobId", q.name, i."jobType", i.payload, coalesce(i.priority, q.default_priority),
    coalesce(i."maxAttempts", q.retry_attempts), t.run_at, t.run_at <= clock_timestamp() + interval '1 millisecond',
    i."expiresAt", coalesce(i."acceptedAt", clock_timestamp()), i."uniqueKey", i."concurrencyKey", i."correlationId",
    i."userId", i."subjectTypename", i."subjectId", i."campaignId"
  FROM input i
  JOIN job_queues q ON q.name = i."queueName"
  CROSS JOIN LATERAL (SELECT coalesce(i."runAt", clock_timestamp() + i."delayMs" * interval '1 millisecond',
    clock_timestamp()) AS run_at) AS t
  WHERE i.key IS NULL OR i."jobId" IN (SELECT r.job_id FROM receipt r)
  -- Ids are UUIDv7, made in the order of arrival.
  ORDER BY i."jobId"
  RETURNING j.id, j.queue_name, j.is_due;
  IF p_wake THEN
    PERFORM pg_notify('queue_wake', name) FROM (SELECT DISTINCT i ->> 'queueName' AS name FROM jsonb_array_elements(p_jobs) AS i) AS q;
  END IF;
END $$;

-- Enqueues one job that has a unique key. `p_policy` says what to do while another job holds the key: keep that one, give
-- it this one's payload and time if it still waits (replace), or refuse this one (reject). `new` when it was enqueued.
CREATE FUNCTION insert_unique_job(p_job jsonb, p_policy text, p_hold_seconds integer)
RETURNS TABLE (outcome text, holder uuid, is_ready boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  tenant uuid := (p_job ->> 'tenantId')::uuid;
  queue text := p_job ->> 'queueName';
  unique_key text := p_job ->> 'uniqueKey';
  new_id uuid := (p_job ->> 'jobId')::uuid;
  held unique_job_keys;
  is_held boolean;
  until timestamptz := clock_timestamp() + p_hold_seconds * interval '1 second';
BEGIN
  SELECT r.job_id INTO holder FROM enqueue_receipts r
  WHERE r.tenant_id = tenant AND r.source = p_job ->> 'source' AND r.key = p_job ->> 'key';
  IF FOUND THEN
    RETURN QUERY SELECT 'kept', holder, false;
    RETURN;
  END IF;
  -- The update changes nothing; it waits for, and then sees, whoever holds the key.
  INSERT INTO unique_job_keys AS u (tenant_id, queue_name, key, job_id, expires_at)
  VALUES (tenant, queue, unique_key, new_id, until)
  ON CONFLICT (tenant_id, queue_name, key) DO UPDATE SET job_id = u.job_id
  RETURNING u.* INTO held;
  -- Once more: whoever held it until now may have been the same request.
  SELECT r.job_id INTO holder FROM enqueue_receipts r
  WHERE r.tenant_id = tenant AND r.source = p_job ->> 'source' AND r.key = p_job ->> 'key';
  IF FOUND THEN
    RETURN QUERY SELECT 'kept', holder, false;
    RETURN;
  END IF;
  -- A job that nobody ran in time is as good as ended, though nobody has marked it yet.
  is_held := held.job_id <> new_id AND CASE WHEN held.expires_at IS NULL
    THEN EXISTS (SELECT 1 FROM jobs j WHERE j.tenant_id = tenant AND j.id = held.job_id AND j.status = 'queued'
      AND (j.expires_at IS NULL OR j.expires_at > clock_timestamp()
        OR EXISTS (SELECT 1 FROM worker_leases l WHERE l.queue_name = queue AND j.id = ANY (l.job_ids))))
    ELSE held.expires_at > clock_timestamp() END;
  IF is_held AND p_policy = 'reject' THEN
    RETURN QUERY SELECT 'rejected', held.job_id, false;
    RETURN;
  END IF;
  IF is_held AND p_policy = 'replace' THEN
    PERFORM lock_queue(queue);
    UPDATE jobs j SET payload = p_job -> 'payload', priority = coalesce((p_job ->> 'priority')::int, j.priority),
      run_at = t.run_at, is_due = t.run_at <= clock_timestamp() + interval '1 millisecond',
      expires_at = (p_job ->> 'expiresAt')::timestamptz, updated_at = clock_timestamp()
    FROM (SELECT coalesce((p_job ->> 'runAt')::timestamptz, clock_timestamp()
      + coalesce((p_job ->> 'delayMs')::float8, 0) * interval '1 millisecond') AS run_at) AS t
    WHERE j.tenant_id = tenant AND j.id = held.job_id AND j.status = 'queued'
      AND NOT EXISTS (SELECT 1 FROM worker_leases l WHERE l.queue_name = queue AND held.job_id = ANY (l.job_ids))
    RETURNING j.is_due INTO is_ready;
    IF FOUND THEN
      INSERT INTO enqueue_receipts (tenant_id, source, key, job_id)
      SELECT tenant, p_job ->> 'source', p_job ->> 'key', held.job_id WHERE p_job ->> 'key' IS NOT NULL
      ON CONFLICT DO NOTHING;
      RETURN QUERY SELECT 'replaced', held.job_id, is_ready;
      RETURN;
    END IF;
  ELSIF is_held THEN
    INSERT INTO enqueue_receipts (tenant_id, source, key, job_id)
    SELECT tenant, p_job ->> 'source', p_job ->> 'key', held.job_id WHERE p_job ->> 'key' IS NOT NULL
    ON CONFLICT DO NOTHING;
    RETURN QUERY SELECT 'kept', held.job_id, false;
    RETURN;
  END IF;
  -- Anew from now: the clean-up, which cannot see this job yet, leaves what is young.
  UPDATE unique_job_keys u SET job_id = new_id, expires_at = until, created_at = clock_timestamp()
  WHERE u.tenant_id = tenant AND u.queue_name = queue AND u.key = unique_key;
  RETURN QUERY SELECT 'new', i.job_id, i.is_ready FROM insert_jobs(jsonb_build_array(p_job), false) AS i;
END $$;

REVOKE EXECUTE ON FUNCTION insert_jobs, insert_unique_job FROM PUBLIC;
GRANT EXECUTE ON FUNCTION insert_jobs, insert_unique_job TO queue_system;
