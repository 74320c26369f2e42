-- Back to claims that look at all that is held. Leases end, so what was in work runs again.
DROP FUNCTION delayed_tenants, promote_due_jobs, pick_all_over, pick_beyond_reach, pick_keyed_jobs, tenants_in_work,
  tenant_allowances, jobs_that_fit;
DROP TYPE picked_jobs;

DROP INDEX jobs_delayed_tenant_idx;
DELETE FROM worker_leases;
ALTER TABLE worker_leases DROP COLUMN reach_tenants, DROP COLUMN reach_priorities, DROP COLUMN reach_seqs,
  DROP COLUMN first_seq, DROP COLUMN looked_all_over_at, DROP COLUMN unbegun;

CREATE OR REPLACE FUNCTION claim_jobs(p_queue text, p_worker uuid, p_lease uuid, p_limit integer, p_lease_ms double precision,
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

REVOKE EXECUTE ON FUNCTION tenant_allowances, pick_keyed_jobs FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenant_allowances, pick_keyed_jobs TO queue_system;
