import type pg from 'pg'

/** A rule that every tier's database keeps. */
export type Rule = {
  /** What must hold, as a sentence. */
  name: string
  /** A query whose rows, one text column, name what breaks the rule. It may use the relations of `CATALOGUE`. */
  offenders: string
}

/**
 * What the rules reason about.
 * - `tier`: names of the tier's roles
 * - `tables`: its tables with their scope; a partition has its parent's. Prisma's own history is none of them
 * - `grants`: what any role but the owner holds on a relation, by name; `public` for everybody
 */
const CATALOGUE = `
  tier AS (
    SELECT public.tier_name() || '_app' AS app, public.tier_name() || '_system' AS system,
           public.tier_name() || '_owner' AS owner
  ),
  tables AS (
    SELECT c.oid, c.relname AS name, c.relkind, c.relispartition AS is_partition, c.relrowsecurity, c.relforcerowsecurity,
           substring(obj_description(root.oid, 'pg_class') FROM '^Scope: (tenant|platform|membership)\\.') AS scope,
           CASE root.relname WHEN 'tenants' THEN 'id' ELSE 'tenant_id' END AS tenant_column
    FROM pg_class c JOIN pg_class root ON root.oid = coalesce(pg_partition_root(c.oid), c.oid)
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> '_prisma_migrations'
  ),
  grants AS (
    SELECT c.oid, c.relname AS name, c.relkind, c.relispartition AS is_partition, acl.privilege_type AS privilege,
           coalesce(role.rolname, 'public') AS grantee, acl.column_name
    FROM pg_class c
    CROSS JOIN LATERAL (
      SELECT entry.grantee, entry.privilege_type, NULL::name AS column_name FROM aclexplode(c.relacl) AS entry
      UNION ALL
      SELECT entry.grantee, entry.privilege_type, a.attname
      FROM pg_attribute a CROSS JOIN LATERAL aclexplode(a.attacl) AS entry WHERE a.attrelid = c.oid
    ) AS acl
    LEFT JOIN pg_roles role ON role.oid = acl.grantee
    WHERE c.relnamespace = 'public'::regnamespace AND acl.grantee <> c.relowner
  )`

/** What breaks one rule, as `table` or `table.column`, sorted. */
export async function findOffenders(client: pg.Client, { offenders }: Rule): Promise<string[]> {
  const { rows } = await client.query<[string]>({ text: `WITH ${CATALOGUE} ${offenders}`, rowMode: 'array' })
  return rows.map(([name]) => name).sort()
}
