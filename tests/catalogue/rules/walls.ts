import type { Rule } from './rule.ts'

const OWN_TENANT = `format('(%I = (current_setting(''app.current_tenant_id''::text))::uuid)', t.tenant_column)`

/** Policies with their roles by name and their expressions as text. */
const POLICIES = `
  SELECT p.polrelid, p.polname, p.polpermissive, p.polcmd,
         ARRAY(SELECT CASE role WHEN 0 THEN 'public' ELSE pg_get_userbyid(role)::text END FROM unnest(p.polroles) AS role) AS roles,
         pg_get_expr(p.polqual, p.polrelid) AS qual, pg_get_expr(p.polwithcheck, p.polrelid) AS with_check
  FROM pg_policy p`

const withoutFullPolicy = (role: 'owner' | 'system') => `
  SELECT t.name FROM tables t, tier WHERE t.relrowsecurity AND NOT EXISTS (
    SELECT FROM (${POLICIES}) p WHERE p.polrelid = t.oid AND p.polpermissive AND p.polcmd = '*'
      AND p.roles = ARRAY[tier.${role}] AND p.qual = 'true' AND p.with_check = 'true')`

/** Who sees which rows. Partitions count as tables: a query that names one is held by its walls alone. */
export const wallRules: Rule[] = [
  {
    name: 'every table, view and materialized view says its scope',
    offenders: `SELECT name FROM tables WHERE scope IS NULL
      UNION ALL SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm')
        AND coalesce(obj_description(oid, 'pg_class'), '') !~ '^Scope: (tenant|platform|membership)\\M'`,
  },
  {
    name: 'a tenant table has tenant_id uuid NOT NULL',
    offenders: `SELECT t.name FROM tables t WHERE t.scope = 'tenant' AND NOT EXISTS (
      SELECT FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attname = t.tenant_column
        AND a.atttypid = 'uuid'::regtype AND a.attnotnull)`,
  },
  {
    name: 'row level security is enabled and forced on tenant and membership tables',
    offenders: `SELECT name FROM tables
      WHERE scope IN ('tenant', 'membership') AND NOT (relrowsecurity AND relforcerowsecurity)`,
  },
  {
    name: 'a tenant table has the policy tenant_isolation: the app role, its own tenant, to read and to write',
    offenders: `SELECT t.name FROM tables t, tier WHERE t.scope = 'tenant' AND NOT EXISTS (
      SELECT FROM (${POLICIES}) p WHERE p.polrelid = t.oid AND p.polname = 'tenant_isolation' AND p.polpermissive
        AND p.polcmd = '*' AND p.roles = ARRAY[tier.app] AND p.qual = ${OWN_TENANT} AND p.with_check = ${OWN_TENANT})`,
  },
  {
    name: 'no second policy opens a tenant table to the app role',
    offenders: `SELECT t.name || ': ' || p.polname FROM tables t CROSS JOIN tier JOIN (${POLICIES}) p ON p.polrelid = t.oid
      WHERE t.scope = 'tenant' AND p.polpermissive AND p.polname <> 'tenant_isolation'
        AND p.roles && ARRAY[tier.app, 'public']`,
  },
  {
    name: 'outside tenant tables the app role sees rows by way of the current tenant, and writes none',
    offenders: `SELECT t.name || ': ' || p.polname FROM tables t CROSS JOIN tier JOIN (${POLICIES}) p ON p.polrelid = t.oid
      WHERE t.scope <> 'tenant' AND p.polpermissive AND p.roles && ARRAY[tier.app, 'public'] AND NOT (p.polcmd = 'r'
        AND p.qual LIKE '%.tenant_id = (current_setting(''app.current_tenant_id''::text))::uuid)%')`,
  },
  { name: 'the owner has a policy, or its backfill would touch no row', offenders: withoutFullPolicy('owner') },
  { name: 'the system role has a policy', offenders: withoutFullPolicy('system') },
]
