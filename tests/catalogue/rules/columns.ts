import type { Rule } from './rule.ts'

/** Columns of tables, not of their partitions: those follow their parent. */
const COLUMNS = `
  SELECT t.name, t.scope, a.attname, a.attrelid, a.attnum, a.atttypid, a.atttypmod, type.typtype, element.typtype AS element_typtype
  FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type type ON type.oid = a.atttypid
  LEFT JOIN pg_type element ON element.oid = coalesce(nullif(type.typelem, 0), nullif(type.typbasetype, 0))
  WHERE NOT t.is_partition`

export const columnRules: Rule[] = [
  {
    name: 'every column says its class: public, internal, personal or content',
    offenders: `SELECT name || '.' || attname FROM (${COLUMNS}) AS c
      WHERE coalesce(col_description(attrelid, attnum), '') !~ '^\\[(public|internal|personal|content)\\] \\S'`,
  },
  {
    name: 'no column is a Postgres enum: its equality is not leakproof, so its index goes unused behind policies',
    offenders: `SELECT name || '.' || attname FROM (${COLUMNS}) AS c WHERE typtype = 'e' OR element_typtype = 'e'`,
  },
  {
    name: 'a point in time is timestamptz(3) and its name ends in _at',
    offenders: `SELECT name || '.' || attname FROM (${COLUMNS}) AS c
      WHERE atttypid = 'timestamp'::regtype
        OR atttypid = 'timestamptz'::regtype AND (atttypmod <> 3 OR attname NOT LIKE '%\\_at')`,
  },
  {
    name: 'every table has created_at',
    offenders: `SELECT name FROM tables t WHERE NOT is_partition AND NOT EXISTS (
      SELECT FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attname = 'created_at' AND NOT a.attisdropped)`,
  },
  {
    name: 'updated_at is kept by a trigger, whoever writes, unless its comment says otherwise',
    offenders: `SELECT c.name FROM (${COLUMNS}) AS c WHERE c.attname = 'updated_at'
      AND col_description(c.attrelid, c.attnum) NOT LIKE '%without a trigger' AND NOT EXISTS (
      SELECT FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
      WHERE g.tgrelid = c.attrelid AND p.proname = 'touch_updated_at')`,
  },
  {
    name: 'tables that NileDB manages hold TEXT, never VARCHAR, and roles as text[]',
    offenders: `SELECT name || '.' || attname FROM (${COLUMNS}) AS c
      WHERE name IN ('tenants', 'users', 'tenant_users') AND (atttypid IN ('varchar'::regtype, 'bpchar'::regtype)
        OR attname = 'roles' AND atttypid <> 'text[]'::regtype)`,
  },
]
