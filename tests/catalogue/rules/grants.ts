import type { Rule } from './rule.ts'

/** What the roles may do besides what policies say of rows. */
export const grantRules: Rule[] = [
  {
    name: 'nobody holds a grant on a partition: it would bypass the policies of its parent',
    offenders: `SELECT name || ': ' || grantee || ' ' || privilege FROM grants WHERE is_partition`,
  },
  {
    name: 'the app role has no TRUNCATE, TRIGGER, REFERENCES or MAINTAIN',
    offenders: `SELECT name || ': ' || privilege FROM grants, tier
      WHERE grantee = tier.app AND privilege IN ('TRUNCATE', 'TRIGGER', 'REFERENCES', 'MAINTAIN')`,
  },
  {
    name: 'of a platform table the app role reads named columns at most',
    offenders: `SELECT g.name || ': ' || g.privilege FROM grants g JOIN tables t USING (oid), tier
      WHERE t.scope = 'platform' AND g.grantee = tier.app AND NOT (g.privilege = 'SELECT' AND g.column_name IS NOT NULL)`,
  },
  {
    name: 'a platform table that names tenants is closed to the app role',
    offenders: `SELECT DISTINCT t.name FROM tables t JOIN grants g USING (oid), tier
      WHERE t.scope = 'platform' AND g.grantee = tier.app AND EXISTS (
        SELECT FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attname = 'tenant_id')`,
  },
  {
    name: 'a membership table is only read by the app role',
    offenders: `SELECT g.name || ': ' || g.privilege FROM grants g JOIN tables t USING (oid), tier
      WHERE t.scope = 'membership' AND g.grantee = tier.app AND g.privilege <> 'SELECT'`,
  },
  {
    name: 'nothing is granted to everybody, and the migration history to nobody',
    offenders: `SELECT g.name || ': ' || g.grantee || ' ' || g.privilege FROM grants g
      WHERE (g.grantee = 'public' OR g.name = '_prisma_migrations')
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = g.oid AND d.deptype = 'e')`,
  },
  {
    name: 'the app and system roles own nothing',
    offenders: `SELECT role.rolname || ': ' || pg_describe_object(d.classid, d.objid, d.objsubid)
      FROM pg_shdepend d JOIN pg_roles role ON role.oid = d.refobjid, tier
      WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o' AND role.rolname IN (tier.app, tier.system)
        AND d.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))`,
  },
  {
    name: 'no role of the tier is a superuser, passes by row level security, or makes roles or databases',
    offenders: `SELECT rolname FROM pg_roles, tier WHERE rolname IN (tier.app, tier.system, tier.owner)
      AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)`,
  },
  {
    name: 'the app and system roles are members of no other role',
    offenders: `SELECT member.rolname || ': ' || role.rolname FROM pg_auth_members m
      JOIN pg_roles member ON member.oid = m.member JOIN pg_roles role ON role.oid = m.roleid, tier
      WHERE member.rolname IN (tier.app, tier.system)`,
  },
  {
    name: 'the app and system roles create nothing in the schema or the database',
    offenders: `SELECT role.rolname FROM pg_roles role, tier WHERE role.rolname IN (tier.app, tier.system)
      AND (has_schema_privilege(role.oid, 'public', 'CREATE') OR has_database_privilege(role.oid, current_database(), 'CREATE'))`,
  },
  {
    name: 'a function that runs as its owner has a fixed search path, and is not for everybody to call',
    offenders: `SELECT p.proname::text FROM pg_proc p
      WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
        AND (NOT EXISTS (SELECT FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search_path=%')
          OR (p.prorettype <> 'trigger'::regtype AND (p.proacl IS NULL OR EXISTS (
            SELECT FROM aclexplode(p.proacl) AS entry WHERE entry.grantee = 0))))`,
  },
]
