import type { Rule } from './rule.ts'

/** Position of the tenant column of `t` in its table. */
const TENANT_ATTRIBUTE =
  '(SELECT a.attnum FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attname = t.tenant_column)'

/** Keys carry the tenant: row level security does not look inside their checks, and a sharded database needs it. */
export const keyRules: Rule[] = [
  {
    name: 'every table has a primary key; that of a tenant table begins with tenant_id',
    offenders: `SELECT t.name FROM tables t WHERE NOT EXISTS (
      SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indisprimary
        AND (t.scope <> 'tenant' OR i.indkey[0] = ${TENANT_ATTRIBUTE}))`,
  },
  {
    name: 'every unique key of a tenant table carries tenant_id',
    offenders: `SELECT t.name || ': ' || i.indexrelid::regclass FROM tables t JOIN pg_index i ON i.indrelid = t.oid
      WHERE t.scope = 'tenant' AND (i.indisunique OR i.indisexclusion)
        AND NOT ${TENANT_ATTRIBUTE} = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])`,
  },
  {
    name: 'a foreign key to a tenant table pairs tenant with tenant',
    offenders: `SELECT c.conrelid::regclass || ': ' || c.conname FROM pg_constraint c
      JOIN tables t ON t.oid = c.confrelid JOIN tables referrer ON referrer.oid = c.conrelid
      WHERE c.contype = 'f' AND t.scope = 'tenant' AND NOT EXISTS (
        SELECT FROM unnest(c.conkey, c.confkey) AS pair (here, there)
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = pair.here
        WHERE a.attname = referrer.tenant_column AND pair.there = ${TENANT_ATTRIBUTE})`,
  },
  {
    name: 'a foreign key neither cascades nor sets null or default: on a composite key that would touch the tenant',
    offenders: `SELECT c.conrelid::regclass || ': ' || c.conname FROM pg_constraint c
      WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace
        AND (c.confdeltype NOT IN ('a', 'r') OR c.confupdtype NOT IN ('a', 'r'))`,
  },
  {
    name: 'nothing in OLTP or Content is numbered by a sequence',
    offenders: `SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'
      AND public.tier_name() IN ('oltp', 'content')`,
  },
]
