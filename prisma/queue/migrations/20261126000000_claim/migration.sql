-- The claim with many workers: it passes over what others hold without looking at it, promotes delayed jobs tenant by
-- tenant, and takes no more bytes than a worker can carry.

-- ---- Leases: how far they reach, and what has not begun ----

ALTER TABLE worker_leases
  ADD COLUMN reach_tenants uuid[],
  ADD COLUMN reach_priorities integer[],
  ADD COLUMN reach_seqs bigint[],
  ADD COLUMN first_seq bigint,
  ADD COLUMN looked_all_over_at timestamptz(3),
  ADD COLUMN unbegun integer[];

-- Serves the claim: delayed jobs that are due, tenant by tenant, when there are more than it promotes at once.
CREATE INDEX jobs_delayed_tenant_idx ON jobs (queue_name, tenant_id, run_at) WHERE status = 'queued' AND NOT is_due;

-- ---- The claim ----

DROP FUNCTION tenant_allowances, pick_keyed_jobs;

-- Jobs that a claim has picked: five facts of each, in the order in which to run them. `bytes` is NULL where telling them
-- takes unpacking the payload.
CREATE TYPE picked_jobs AS (
  tenant_ids uuid[], job_ids uuid[], job_rows tid[], priorities integer[], seqs bigint[], bytes integer[]);

-- Tenants with delayed jobs whose time has come, at most `p_most`, beginning after `p_after` and going round.
CREATE FUNCTION delayed_tenants(p_queue text, p_after uuid, p_most integer, p_moment timestamptz) RETURNS uuid[]
LANGUAGE plpgsql STABLE AS $$
DECLARE
  found_tenants uuid[] := '{}';
  last_tenant uuid := p_after;
  has_wrapped boolean := false;
BEGIN
  WHILE cardinality(found_tenants) < p_most LOOP
    SELECT tenant_id INTO last_tenant FROM jobs
    WHERE queue_name = p_queue AND status = 'queued' AND NOT is_due AND tenant_id > last_tenant AND run_at <= p_moment
    ORDER BY tenant_id LIMIT 1;
    IF NOT FOUND THEN
      EXIT WHEN has_wrapped;
      has_wrapped := true;
      SELECT tenant_id INTO last_tenant FROM jobs
      WHERE queue_name = p_queue AND status = 'queued' AND NOT is_due AND run_at <= p_moment ORDER BY tenant_id LIMIT 1;
      EXIT WHEN NOT FOUND;
    END IF;
    EXIT WHEN has_wrapped AND (last_tenant > p_after OR last_tenant = ANY (found_tenants));
    found_tenants := found_tenants || last_tenant;
  END LOOP;
  RETURN found_tenants;
END $$;

-- Makes delayed jobs whose time has come claimable, a thousand at a time. As long as that is all of them, by time; when
-- there are more, equally many of each tenant, a hundred tenants a turn: one tenant's hold up nobody's.
CREATE FUNCTION promote_due_jobs(p_queue text, p_after uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  most CONSTANT integer := 1000;
  moment timestamptz := clock_timestamp() + interval '1 millisecond';
  tenants uuid[];
  due_tenants uuid[];
  due_ids uuid[];
BEGIN
  SELECT array_agg(d.tenant_id), array_agg(d.id) INTO due_tenants, due_ids
  FROM (SELECT tenant_id, id FROM jobs
        WHERE queue_name = p_queue AND status = 'queued' AND NOT is_due AND run_at <= moment
        ORDER BY run_at LIMIT most) AS d;
  IF due_ids IS NULL THEN
    RETURN;
  END IF;
  IF cardinality(due_ids) = most THEN
    tenants := delayed_tenants(p_queue, p_after, 100, moment);
    SELECT array_agg(d.tenant_id), array_agg(d.id) INTO due_tenants, due_ids
    FROM unnest(tenants) AS t (tenant_id) CROSS JOIN LATERAL (
      SELECT o.tenant_id, o.id FROM jobs o
      WHERE o.queue_name = p_queue AND o.tenant_id = t.tenant_id AND o.status = 'queued' AND NOT o.is_due
        AND o.run_at <= moment
      ORDER BY o.run_at LIMIT most / cardinality(tenants)) AS d;
  END IF;
  UPDATE jobs j SET is_due = true FROM unnest(due_tenants, due_ids) AS d (tenant_id, id)
  WHERE j.tenant_id = d.tenant_id AND j.id = d.id AND j.status = 'queued' AND NOT j.is_due AND j.run_at <= moment;
END $$;

-- Picks each tenant's next jobs among all that wait, leaving out those that leases hold: exact, but it visits each of
-- the held ones.
CREATE FUNCTION pick_all_over(p_queue text, tenants uuid[], allowances integer[], quota integer, lowest integer,
  held uuid[], room integer) RETURNS picked_jobs
LANGUAGE plpgsql STABLE AS $$
DECLARE
  picked picked_jobs;
BEGIN
  SELECT array_agg(p.tenant_id), array_agg(p.id), array_agg(p.ctid), array_agg(p.priority), array_agg(p.seq),
    array_agg(p.bytes) INTO picked
  FROM (
    SELECT r.* FROM (
      SELECT t.tenant_id, j.*, row_number() OVER (PARTITION BY t.tenant_id, j.band ORDER BY j.priority, j.seq) AS turn
      FROM unnest(tenants, allowances) AS t (tenant_id, allowance)
      CROSS JOIN LATERAL (
        SELECT o.id, o.ctid, o.priority, o.seq, (o.priority > 50)::int + (o.priority > 150)::int AS band,
          CASE WHEN pg_column_compression(o.payload) IS NULL THEN pg_column_size(o.payload) END AS bytes
        FROM jobs o
        WHERE o.queue_name = p_queue AND o.tenant_id = t.tenant_id AND o.priority > lowest
          AND o.status = 'queued' AND o.is_due AND (o.expires_at IS NULL OR o.expires_at > clock_timestamp())
          AND o.id NOT IN (SELECT unnest(held))
        ORDER BY o.priority, o.seq LIMIT least(quota, t.allowance)
      ) AS j
    ) AS r
    ORDER BY r.band, r.turn, r.priority, r.seq LIMIT room
  ) AS p;
  RETURN picked;
END $$;

-- The same where leases do not reach: of each tenant and priority behind the last job that a lease holds, else from
-- `floor_seq` on. What came back to a place that a lease has passed is not seen, and what is held is not visited.
CREATE FUNCTION pick_beyond_reach(p_queue text, tenants uuid[], allowances integer[], quota integer, lowest integer,
  floor_seq bigint, reach picked_jobs, room integer) RETURNS picked_jobs
LANGUAGE plpgsql STABLE AS $$
DECLARE
  picked picked_jobs;
BEGIN
  WITH point AS (
    -- No join: a nested loop of a thousand tenants with as many reaches would take longer than all the rest.
    SELECT p.tenant_id, p.priority, p.seq, max(p.allowance) OVER (PARTITION BY p.tenant_id) AS allowance,
      coalesce(lag(p.priority) OVER (PARTITION BY p.tenant_id ORDER BY p.priority), lowest) AS before
    FROM (
      SELECT a.tenant_id, a.allowance, 32768 AS priority, NULL::bigint AS seq
      FROM unnest(tenants, allowances) AS a (tenant_id, allowance)
      UNION ALL
      SELECT r.tenant_id, NULL, r.priority, max(r.seq)
      FROM unnest((reach).tenant_ids, (reach).priorities, (reach).seqs) AS r (tenant_id, priority, seq)
      WHERE r.priority > lowest GROUP BY r.tenant_id, r.priority
    ) AS p
  )
  SELECT array_agg(p.tenant_id), array_agg(p.id), array_agg(p.ctid), array_agg(p.priority), array_agg(p.seq),
    array_agg(p.bytes) INTO picked
  FROM (
    SELECT r.*, row_number() OVER (PARTITION BY r.tenant_id, r.band ORDER BY r.priority, r.seq) AS turn
    FROM (
      SELECT t.tenant_id, t.allowance, j.*,
        row_number() OVER (PARTITION BY t.tenant_id ORDER BY j.priority, j.seq) AS place
      FROM point t
      CROSS JOIN LATERAL (VALUES (t.before + 1, t.priority - 1, floor_seq), (t.priority, t.priority, t.seq + 1))
        AS span (highest, lowest, from_seq)
      CROSS JOIN LATERAL (
        SELECT o.id, o.ctid, o.priority, o.seq, (o.priority > 50)::int + (o.priority > 150)::int AS band,
          CASE WHEN pg_column_compression(o.payload) IS NULL THEN pg_column_size(o.payload) END AS bytes
        FROM jobs o
        WHERE o.queue_name = p_queue AND o.tenant_id = t.tenant_id
          AND o.priority >= span.highest AND o.priority <= span.lowest AND o.seq >= span.from_seq
          AND o.status = 'queued' AND o.is_due AND (o.expires_at IS NULL OR o.expires_at > clock_timestamp())
        ORDER BY o.priority, o.seq LIMIT least(quota, t.allowance)
      ) AS j
      WHERE t.allowance > 0 AND span.highest <= span.lowest AND span.from_seq IS NOT NULL
    ) AS r
    WHERE r.place <= least(quota, r.allowance)
    ORDER BY r.band, turn, r.priority, r.seq LIMIT room
  ) AS p;
  RETURN picked;
END $$;

-- The same for a queue with limits per key: one look per key, then what each key may have, shared between tenants.
CREATE FUNCTION pick_keyed_jobs(q job_queues, tenants uuid[], allowances integer[], busy uuid[], taken uuid[],
  lowest integer, room integer) RETURNS picked_jobs
LANGUAGE plpgsql STABLE AS $$
DECLARE
  held uuid[] := busy || taken;
  picked picked_jobs;
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
          FROM worker_leases l CROSS JOIN LATERAL unnest(l.tenant_ids, l.job_ids) AS h (tenant_id, id)
          JOIN jobs j ON j.tenant_id = h.tenant_id AND j.id = h.id
          WHERE q.max_concurrent_per_key IS NOT NULL AND l.queue_name = q.name AND j.status = 'queued'
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
      (SELECT o.id, o.ctid AS place_in_table, o.priority, o.seq,
         CASE WHEN pg_column_compression(o.payload) IS NULL THEN pg_column_size(o.payload) END AS bytes
       FROM jobs o
       WHERE a.name IS NOT NULL AND o.queue_name = q.name AND o.tenant_id = a.tenant_id AND o.concurrency_key = a.name
         AND o.priority > lowest AND o.status = 'queued' AND o.is_due
         AND (o.expires_at IS NULL OR o.expires_at > clock_timestamp()) AND o.id NOT IN (SELECT unnest(held))
       ORDER BY o.priority, o.seq LIMIT greatest(0, a.allowance))
      UNION ALL
      (SELECT o.id, o.ctid AS place_in_table, o.priority, o.seq,
         CASE WHEN pg_column_compression(o.payload) IS NULL THEN pg_column_size(o.payload) END AS bytes
       FROM jobs o
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
  )
  SELECT array_agg(p.tenant_id), array_agg(p.id), array_agg(p.place_in_table), array_agg(p.priority), array_agg(p.seq),
    array_agg(p.bytes) INTO picked
  FROM (SELECT r.* FROM ranked r WHERE r.turn <= r.tenant_allowance
        ORDER BY r.band, r.turn, r.priority, r.seq LIMIT room) AS p;
  RETURN picked;
END $$;

-- Jobs in work of each tenant of a queue. A lease with nothing settled needs no look at its jobs.
CREATE FUNCTION tenants_in_work(p_queue text, OUT tenant_ids uuid[], OUT jobs integer[])
LANGUAGE plpgsql STABLE AS $$
BEGIN
  SELECT array_agg(w.tenant_id), array_agg(w.jobs) INTO tenant_ids, jobs
  FROM (
    SELECT h.tenant_id, count(*)::integer AS jobs
    FROM worker_leases l CROSS JOIN LATERAL unnest(l.tenant_ids, l.job_ids) AS h (tenant_id, id)
    WHERE l.queue_name = p_queue AND (l.unsettled = cardinality(l.job_ids)
      OR EXISTS (SELECT 1 FROM jobs j WHERE j.tenant_id = h.tenant_id AND j.id = h.id AND j.status = 'queued'))
    GROUP BY h.tenant_id
  ) AS w;
END $$;

-- How many more jobs each tenant may have in work now, over what it already has and what this claim has taken for it.
CREATE FUNCTION tenant_allowances(q job_queues, tenants uuid[], taken uuid[], busy_tenants uuid[], busy_jobs integer[])
RETURNS integer[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF q.max_concurrent_per_tenant IS NULL AND q.rate_limit_per_tenant IS NULL THEN
    RETURN array_fill(2147483647, ARRAY[cardinality(tenants)]);
  END IF;
  RETURN ARRAY (
    SELECT greatest(0, least(coalesce(q.max_concurrent_per_tenant, 2147483647) - c.busy,
      coalesce(floor(tokens_left(b.tokens, b.refilled_at, q.rate_limit_per_tenant)), 2147483647)) - c.taken)::integer
    FROM (
      SELECT u.tenant_id, max(u.position) AS position, sum(u.busy) AS busy, sum(u.taken) AS taken
      FROM (SELECT t.tenant_id, t.position, 0 AS busy, 0 AS taken
            FROM unnest(tenants) WITH ORDINALITY AS t (tenant_id, position)
            UNION ALL SELECT w.tenant_id, NULL, w.jobs, 0 FROM unnest(busy_tenants, busy_jobs) AS w (tenant_id, jobs)
            UNION ALL SELECT x.tenant_id, NULL, 0, 1 FROM unnest(taken) AS x (tenant_id)) AS u
      GROUP BY u.tenant_id
    ) AS c
    LEFT JOIN rate_buckets b ON q.rate_limit_per_tenant IS NOT NULL AND b.queue_name = q.name AND b.scope = 'tenant'
      AND b.holder = c.tenant_id::text
    WHERE c.position IS NOT NULL
    ORDER BY c.position);
END $$;

-- How many of these jobs a worker is given at once: until they come to `p_most` bytes, at least one. Only what is packed
-- has to be unpacked to tell.
CREATE FUNCTION jobs_that_fit(picked picked_jobs, p_most integer) RETURNS integer
LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF array_position((picked).bytes, NULL) IS NULL
    AND (SELECT sum(b) FROM unnest((picked).bytes) AS b) <= p_most THEN
    RETURN cardinality((picked).job_ids);
  END IF;
  RETURN (
    SELECT count(*) FROM (
      SELECT h.place, sum(s.bytes) OVER (ORDER BY h.place) - s.bytes AS before
      FROM unnest((picked).job_rows, (picked).bytes) WITH ORDINALITY AS h (ctid, bytes, place)
      CROSS JOIN LATERAL (SELECT coalesce(h.bytes,
        (SELECT octet_length(j.payload::text) FROM jobs j WHERE j.ctid = h.ctid), 0) AS bytes) AS s
    ) AS f
    WHERE f.before < p_most);
END $$;

-- Takes a queue's next due jobs under one new lease and answers them in the order in which to run them.
--
-- Between tenants every claim shares equally; within a tenant the lower priority number runs first, then the earlier
-- arrival. With `p_from_below` half of it begins with low priorities and half with normal ones: a tenth of the claims do,
-- so that none starves. Limits of the queue, per tenant and per key, are counted from the leases; rates are taken out of
-- buckets.
--
-- Usually it only looks where leases do not reach, which costs the same however much is held. What came back to a place
-- that has been passed (retried, given back, another priority, committed late) is found when there is nothing else, or
-- every quarter of a second, when a claim looks all over. One with `p_from_seq` 0 always does.
CREATE OR REPLACE FUNCTION claim_jobs(p_queue text, p_worker uuid, p_lease uuid, p_limit integer,
  p_lease_ms double precision, p_after uuid, p_from_below boolean, p_from_seq bigint)
RETURNS TABLE (tenant_id uuid, id uuid, seq double precision, job_type text, payload jsonb, attempt integer,
  max_attempts integer, queued_ms double precision, wait_ms double precision, correlation_id text, user_id uuid,
  subject_typename text, subject_id text, timeout_ms integer)
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp SET enable_seqscan = off
-- Else its statements are planned anew at each call, which takes longer than they do.
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  most_bytes CONSTANT integer := 8388608;
  q job_queues;
  is_keyed boolean;
  is_all_over boolean;
  looked_at timestamptz;
  latest_first bigint;
  floor_seq bigint;
  room integer;
  tokens double precision;
  busy_tenants uuid[];
  busy_jobs integer[];
  held uuid[];
  reach picked_jobs;
  floors integer[] := '{0}';
  lowest integer;
  wanted integer;
  asked integer := 0;
  most integer := 1;
  tenants uuid[];
  allowances integer[];
  quota integer;
  pass picked_jobs;
  taken picked_jobs := ('{}', '{}', '{}', '{}', '{}', '{}');
  fitting integer;
  next_first bigint;
  answered integer;
BEGIN
  PERFORM lock_queue(p_queue);
  SELECT * INTO q FROM job_queues WHERE name = p_queue AND is_active;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  is_keyed := q.max_concurrent_per_key IS NOT NULL OR q.rate_limit_per_key IS NOT NULL;
  PERFORM promote_due_jobs(p_queue, p_after);

  -- A lease from before it said how far it reaches has no first_seq.
  SELECT least(p_limit, q.max_concurrent_jobs - coalesce(sum(l.unsettled), 0)),
    CASE WHEN count(*) = count(l.first_seq) THEN max(l.looked_all_over_at) END,
    (array_agg(l.first_seq ORDER BY l.fencing DESC))[1]
  INTO room, looked_at, latest_first FROM worker_leases l WHERE l.queue_name = p_queue;
  IF q.rate_limit_per_minute IS NOT NULL THEN
    SELECT tokens_left(max(b.tokens), max(b.refilled_at), q.rate_limit_per_minute) INTO tokens
    FROM rate_buckets b WHERE b.queue_name = p_queue AND b.scope = 'queue' AND b.holder = '';
    room := least(room, floor(tokens));
  END IF;
  IF room <= 0 THEN
    RETURN;
  END IF;

  is_all_over := is_keyed OR p_from_seq = 0
    OR coalesce(abs(extract(epoch FROM clock_timestamp() - looked_at)) > 0.25, true);
  IF q.max_concurrent_per_tenant IS NOT NULL THEN
    SELECT w.tenant_ids, w.jobs INTO busy_tenants, busy_jobs FROM tenants_in_work(p_queue) AS w;
  END IF;
  IF p_from_below THEN
    floors := '{150,50,0}';
  END IF;
  LOOP
    IF is_all_over THEN
      looked_at := clock_timestamp();
      floor_seq := 0;
      held := ARRAY (SELECT unnest(job_ids) FROM worker_leases WHERE queue_name = p_queue);
    ELSE
      floor_seq := CASE WHEN p_from_below THEN 0 ELSE latest_first END;
      SELECT array_agg(r.tenant_id), array_agg(r.priority), array_agg(r.seq)
      INTO reach.tenant_ids, reach.priorities, reach.seqs
      FROM (SELECT u.tenant_id, u.priority, max(u.seq) AS seq
            FROM worker_leases l CROSS JOIN LATERAL unnest(l.reach_tenants, l.reach_priorities, l.reach_seqs)
              AS u (tenant_id, priority, seq)
            WHERE l.queue_name = p_queue GROUP BY u.tenant_id, u.priority) AS r;
    END IF;
    FOREACH lowest IN ARRAY floors LOOP
      -- An odd one goes to either half as often.
      wanted := CASE WHEN lowest = 150 THEN floor(room / 2.0 + random()) ELSE room END;
      asked := 0;
      -- Those asked first may all be in work or at their limits: then the ones behind them are asked, more at a time.
      WHILE wanted > 0 LOOP
        most := greatest(wanted, asked * 4);
        tenants := (due_tenants(p_queue, p_after, most, floor_seq))[asked + 1:];
        asked := asked + cardinality(tenants);
        allowances := tenant_allowances(q, tenants, taken.tenant_ids, busy_tenants, busy_jobs);
        -- Who may have none has no part in the shares: else it would take a second pass to hand theirs on.
        IF 0 = ANY (allowances) THEN
          SELECT coalesce(array_agg(a.tenant_id), '{}'), coalesce(array_agg(a.allowance), '{}') INTO tenants, allowances
          FROM unnest(tenants, allowances) AS a (tenant_id, allowance) WHERE a.allowance > 0;
        END IF;
        -- Each pass asks those who had as much as they were asked for: usually one is enough.
        WHILE wanted > 0 AND cardinality(tenants) > 0 LOOP
          quota := ceil(wanted::double precision / cardinality(tenants));
          IF is_keyed THEN
            pass := pick_keyed_jobs(q, tenants, allowances, held, taken.job_ids, lowest, wanted);
          ELSIF is_all_over THEN
            pass := pick_all_over(p_queue, tenants, allowances, quota, lowest, held, wanted);
          ELSE
            pass := pick_beyond_reach(p_queue, tenants, allowances, quota, lowest, floor_seq, reach, wanted);
          END IF;
          EXIT WHEN pass.job_ids IS NULL;
          room := room - cardinality(pass.job_ids);
          wanted := wanted - cardinality(pass.job_ids);
          taken.tenant_ids := taken.tenant_ids || pass.tenant_ids;
          taken.job_ids := taken.job_ids || pass.job_ids;
          taken.job_rows := taken.job_rows || pass.job_rows;
          taken.priorities := taken.priorities || pass.priorities;
          taken.seqs := taken.seqs || pass.seqs;
          taken.bytes := taken.bytes || pass.bytes;
          EXIT WHEN is_keyed OR room = 0;
          IF is_all_over THEN
            held := held || pass.job_ids;
          ELSE
            reach.tenant_ids := reach.tenant_ids || pass.tenant_ids;
            reach.priorities := reach.priorities || pass.priorities;
            reach.seqs := reach.seqs || pass.seqs;
          END IF;
          EXIT WHEN wanted = 0;
          SELECT coalesce(array_agg(c.tenant_id), '{}') INTO tenants
          FROM (SELECT g.tenant_id, count(*) AS got FROM unnest(pass.tenant_ids) AS g (tenant_id) GROUP BY g.tenant_id) AS c
          WHERE c.got >= quota;
          allowances := tenant_allowances(q, tenants, taken.tenant_ids, busy_tenants, busy_jobs);
        END LOOP;
        EXIT WHEN asked < most;
      END LOOP;
    END LOOP;
    EXIT WHEN is_all_over OR cardinality(taken.job_ids) > 0;
    is_all_over := true;
  END LOOP;
  IF cardinality(taken.job_ids) = 0 THEN
    RETURN;
  END IF;

  fitting := jobs_that_fit(taken, most_bytes);
  IF fitting < cardinality(taken.job_ids) THEN
    taken := (taken.tenant_ids[:fitting], taken.job_ids[:fitting], taken.job_rows[:fitting], taken.priorities[:fitting],
      taken.seqs[:fitting], taken.bytes[:fitting]);
    next_first := 0;
  ELSE
    -- The next claim may begin where this one did, unless there are tenants who were not asked or priorities passed over.
    SELECT CASE WHEN asked >= most THEN 0 WHEN p_from_below THEN least(min(s), coalesce(latest_first, 0)) ELSE min(s) END
    INTO next_first FROM unnest(taken.seqs) AS s;
  END IF;
  INSERT INTO worker_leases (id, worker_id, queue_name, job_ids, tenant_ids, unsettled, expires_at, reach_tenants,
    reach_priorities, reach_seqs, first_seq, looked_all_over_at)
  SELECT p_lease, p_worker, p_queue, taken.job_ids, taken.tenant_ids, cardinality(taken.job_ids),
    clock_timestamp() + p_lease_ms * interval '1 millisecond', array_agg(r.tenant_id), array_agg(r.priority),
    array_agg(r.seq), next_first, looked_at
  FROM (SELECT u.tenant_id, u.priority, max(u.seq) AS seq
        FROM unnest(taken.tenant_ids, taken.priorities, taken.seqs) AS u (tenant_id, priority, seq)
        GROUP BY u.tenant_id, u.priority) AS r;
  PERFORM spend_tokens(q, taken.tenant_ids, taken.job_ids);
  -- By their places in the table: under the lock nobody has moved them since they were picked.
  RETURN QUERY
    SELECT j.tenant_id, j.id, j.seq::double precision, j.job_type, j.payload, j.attempt_count + 1, j.max_attempts,
      date_part('epoch', j.queued_at) * 1000,
      greatest(0, date_part('epoch', clock_timestamp() - greatest(j.run_at, j.queued_at)) * 1000),
      j.correlation_id, j.user_id, j.subject_typename, j.subject_id, q.timeout_seconds * 1000
    FROM unnest(taken.job_rows) WITH ORDINALITY AS h (ctid, place)
    JOIN jobs j ON j.ctid = h.ctid
    ORDER BY h.place;
  -- Else whoever settles jobs by their places in the lease would settle others.
  GET DIAGNOSTICS answered = ROW_COUNT;
  IF answered < cardinality(taken.job_ids) THEN
    RAISE EXCEPTION 'a job was written to while it was claimed' USING ERRCODE = 'serialization_failure';
  END IF;
END $$;

REVOKE EXECUTE ON FUNCTION delayed_tenants, promote_due_jobs, pick_all_over, pick_beyond_reach, pick_keyed_jobs,
  tenants_in_work, tenant_allowances, jobs_that_fit FROM PUBLIC;
GRANT EXECUTE ON FUNCTION delayed_tenants, promote_due_jobs, pick_all_over, pick_beyond_reach, pick_keyed_jobs,
  tenants_in_work, tenant_allowances, jobs_that_fit TO queue_system;
