import type { Rule } from './rule.ts'

/** Relations that a view reads. */
const SOURCES = `
  SELECT DISTINCT r.ev_class AS view, source.oid, source.relkind
  FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
  JOIN pg_class source ON d.refclassid = 'pg_class'::regclass AND source.oid = d.refobjid
  WHERE source.oid <> r.ev_class`

export const viewRules: Rule[] = [
  {
    // Row level security does not reach into a materialized view, so the barrier view filters by itself, as its owner.
    name: 'a view runs as its caller, or is a barrier that shows the current tenant its rows of a materialized view',
    offenders: `SELECT v.relname::text FROM pg_class v
      WHERE v.relnamespace = 'public'::regnamespace AND v.relkind = 'v'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = v.oid AND d.deptype = 'e')
        AND NOT coalesce(v.reloptions && ARRAY['security_invoker=true', 'security_invoker=on'], false)
        AND NOT (coalesce(v.reloptions && ARRAY['security_barrier=true', 'security_barrier=on'], false)
          AND pg_get_viewdef(v.oid) ~ 'WHERE \\(+(\\w+\\.)?tenant_id = \\(current_setting\\(''app\\.current_tenant_id''::text\\)\\)::uuid\\)+;$'
          AND NOT EXISTS (SELECT FROM (${SOURCES}) s WHERE s.view = v.oid AND s.relkind <> 'm'))`,
  },
  {
    name: 'a materialized view is not granted to the app role',
    offenders: `SELECT DISTINCT g.name::text FROM grants g, tier WHERE g.relkind = 'm' AND g.grantee IN (tier.app, 'public')`,
  },
  {
    name: 'a materialized view has a unique index over whole rows, or it could not be refreshed concurrently',
    offenders: `SELECT v.relname::text FROM pg_class v
      WHERE v.relnamespace = 'public'::regnamespace AND v.relkind = 'm' AND NOT EXISTS (
        SELECT FROM pg_index i WHERE i.indrelid = v.oid AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL)`,
  },
]
