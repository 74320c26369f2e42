DROP TABLE idempotency_keys, outbox_events;
DROP FUNCTION keep_updated_at(regclass);
DROP FUNCTION touch_updated_at();
DROP FUNCTION ensure_month_partitions(regclass, int, int);
DROP FUNCTION make_partition(regclass, name, text);
DROP FUNCTION make_platform_table(regclass, name[]);
DROP FUNCTION make_tenant_table(regclass, name);
DROP FUNCTION enforce_tenant_isolation(regclass, name);
DROP FUNCTION tier_name();
