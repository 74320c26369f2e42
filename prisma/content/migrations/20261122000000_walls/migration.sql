-- The walls every table of this tier stands behind. The same text in all four tiers but for the next line:
-- tiers live on different servers, so they cannot share a function.
CREATE FUNCTION tier_name() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'content' $$;

-- Row level security for a tenant table. The policy is the guard; the scoped client's WHERE is the router.
-- FORCE applies policies to the owner too, so the owner needs a policy of its own or a backfill would succeed on 0 rows.
-- A partition child gets the policies but never a grant: a query that names a child bypasses its parent's policies.
CREATE FUNCTION enforce_tenant_isolation(target regclass, tenant_column name DEFAULT 'tenant_id') RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  own_tenant text := format('%I = current_setting(''app.current_tenant_id'')::uuid', tenant_column);
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
  EXECUTE format('CREATE POLICY tenant_isolation ON %s FOR ALL TO %I USING (%s) WITH CHECK (%s)',
                 target, tier_name() || '_app', own_tenant, own_tenant);
  EXECUTE format('CREATE POLICY owner_migrates ON %s FOR ALL TO %I USING (true) WITH CHECK (true)',
                 target, tier_name() || '_owner');
  EXECUTE format('CREATE POLICY system_works ON %s FOR ALL TO %I USING (true) WITH CHECK (true)',
                 target, tier_name() || '_system');
END $$;

-- A tenant table: walls, and the app and system roles' grants.
CREATE FUNCTION make_tenant_table(target regclass, tenant_column name DEFAULT 'tenant_id') RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM enforce_tenant_isolation(target, tenant_column);
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %I, %I',
                 target, tier_name() || '_app', tier_name() || '_system');
END $$;

-- A platform table: the system role works on it; the app role may read the named columns, or nothing.
CREATE FUNCTION make_platform_table(target regclass, app_columns name[] DEFAULT '{}') RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %I', target, tier_name() || '_system');
  IF cardinality(app_columns) > 0 THEN
    EXECUTE format('GRANT SELECT (%s) ON %s TO %I',
                   (SELECT string_agg(quote_ident(c), ', ') FROM unnest(app_columns) AS c),
                   target, tier_name() || '_app');
  END IF;
END $$;

-- The one way a partition is made. bound: 'FOR VALUES …' or 'DEFAULT'.
CREATE FUNCTION make_partition(parent regclass, child name, bound text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  EXECUTE format('CREATE TABLE public.%I PARTITION OF %s %s', child, parent, bound);
  PERFORM enforce_tenant_isolation(format('public.%I', child)::regclass);
END $$;

-- One month's partition. Rows of that month which the DEFAULT partition took in the meantime move into it: left there,
-- they would make Postgres refuse the new partition for ever.
CREATE FUNCTION make_month_partition(parent regclass, child name, month timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  bound text := format('FOR VALUES FROM (%L) TO (%L)', month, month + interval '1 month');
  spare regclass := (SELECT nullif(partdefid, 0) FROM pg_partitioned_table WHERE partrelid = parent);
  within text := (SELECT format('%1$I >= %2$L AND %1$I < %3$L', attname, month, month + interval '1 month')
                  FROM pg_partitioned_table JOIN pg_attribute ON attrelid = partrelid AND attnum = partattrs[0]
                  WHERE partrelid = parent);
  strays boolean := false;
BEGIN
  IF spare IS NOT NULL THEN
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %s)', spare, within) INTO strays;
  END IF;
  IF NOT strays THEN
    PERFORM make_partition(parent, child, bound);
    RETURN;
  END IF;
  EXECUTE format('CREATE TABLE public.%I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', child, parent);
  EXECUTE format('WITH moved AS (DELETE FROM %s WHERE %s RETURNING *) INSERT INTO public.%I SELECT * FROM moved',
                 spare, within, child);
  EXECUTE format('ALTER TABLE %s ATTACH PARTITION public.%I %s', parent, child, bound);
  PERFORM enforce_tenant_isolation(format('public.%I', child)::regclass);
END $$;

-- Monthly partitions from `months_back` months ago to `months_ahead` months from now; those that exist stay.
-- Returns how many were made. The parent is partitioned by RANGE on a timestamptz.
CREATE FUNCTION ensure_month_partitions(parent regclass, months_back int, months_ahead int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  month timestamptz;
  child name;
  made int := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('ensure_month_partitions ' || parent::text, 0));
  FOR month IN SELECT generate_series(date_trunc('month', now()) - make_interval(months => months_back),
                                      date_trunc('month', now()) + make_interval(months => months_ahead),
                                      interval '1 month') LOOP
    child := format('%s_%s', (SELECT relname FROM pg_class WHERE oid = parent), to_char(month, 'YYYY_MM'));
    IF to_regclass(format('public.%I', child)) IS NULL THEN
      PERFORM make_month_partition(parent, child, month);
      made := made + 1;
    END IF;
  END LOOP;
  RETURN made;
END $$;

-- updated_at follows every UPDATE, whoever writes it.
CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at := clock_timestamp();
  RETURN NEW;
END $$;

CREATE FUNCTION keep_updated_at(target regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  EXECUTE format('CREATE TRIGGER keep_updated_at BEFORE UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION touch_updated_at()',
                 target);
END $$;

REVOKE EXECUTE ON FUNCTION enforce_tenant_isolation, make_tenant_table, make_platform_table, make_partition,
  make_month_partition, ensure_month_partitions, keep_updated_at FROM PUBLIC;
DO $$ BEGIN
  EXECUTE format('GRANT EXECUTE ON FUNCTION ensure_month_partitions TO %I', tier_name() || '_system');
END $$;

-- Every tier announces its changes through an outbox and remembers answered mutations.
CREATE TABLE outbox_events (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  aggregate_type text NOT NULL,
  aggregate_id text NOT NULL,
  aggregate_version integer NOT NULL DEFAULT 1,
  event_type text NOT NULL,
  payload jsonb NOT NULL,
  correlation_id text,
  attempts integer NOT NULL DEFAULT 0,
  next_attempt_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  last_error text,
  parked_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT outbox_events_pkey PRIMARY KEY (tenant_id, id)
);
-- Serves the relay: oldest undelivered events of all tenants.
CREATE INDEX outbox_events_id_idx ON outbox_events (id);
SELECT make_tenant_table('outbox_events');

CREATE TABLE idempotency_keys (
  tenant_id uuid NOT NULL,
  key text NOT NULL,
  request_hash text NOT NULL,
  response jsonb,
  expires_at timestamptz(3) NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  CONSTRAINT idempotency_keys_pkey PRIMARY KEY (tenant_id, key)
);
-- Serves the clean-up of keys past their time.
CREATE INDEX idempotency_keys_expires_at_idx ON idempotency_keys (expires_at);
SELECT make_tenant_table('idempotency_keys');
