/** For each rule of the catalogue: violations to plant in OLTP's database, and what must then be reported. */
export const PLANTED: Record<string, { sql: string; offender: string }[]> = {
  'every table, view and materialized view says its scope': [
    { sql: 'CREATE TABLE planted (id int)', offender: 'planted' },
    { sql: `COMMENT ON TABLE campaigns IS 'Scope: everybody. Campaigns.'`, offender: 'campaigns' },
    { sql: 'CREATE VIEW planted AS SELECT 1 AS one', offender: 'planted' },
  ],
  'a tenant table has tenant_id uuid NOT NULL': [
    { sql: tenantTable('tenant_id text NOT NULL, id uuid'), offender: 'planted' },
    { sql: tenantTable('tenant_id uuid, id uuid'), offender: 'planted' },
    { sql: tenantTable('id uuid'), offender: 'planted' },
  ],
  'row level security is enabled and forced on tenant and membership tables': [
    { sql: 'ALTER TABLE campaigns NO FORCE ROW LEVEL SECURITY', offender: 'campaigns' },
    { sql: 'ALTER TABLE users DISABLE ROW LEVEL SECURITY', offender: 'users' },
    { sql: 'ALTER TABLE inbox_message_refs_p03 DISABLE ROW LEVEL SECURITY', offender: 'inbox_message_refs_p03' },
  ],
  'a tenant table has the policy tenant_isolation: the app role, its own tenant, to read and to write': [
    { sql: 'DROP POLICY tenant_isolation ON inbox_message_refs_p03', offender: 'inbox_message_refs_p03' },
    { sql: 'ALTER POLICY tenant_isolation ON leads TO PUBLIC', offender: 'leads' },
    { sql: 'ALTER POLICY tenant_isolation ON leads USING (true)', offender: 'leads' },
    { sql: 'ALTER POLICY tenant_isolation ON leads WITH CHECK (true)', offender: 'leads' },
    {
      // A setting that may be missing turns a forgotten tenant into an empty answer.
      sql: `ALTER POLICY tenant_isolation ON leads USING (tenant_id = current_setting('app.current_tenant_id', true)::uuid)`,
      offender: 'leads',
    },
    { sql: tenantTable('tenant_id uuid NOT NULL, id uuid'), offender: 'planted' },
  ],
  'no second policy opens a tenant table to the app role': [
    { sql: 'CREATE POLICY open ON leads FOR SELECT TO oltp_app USING (true)', offender: 'leads: open' },
    { sql: 'CREATE POLICY open ON leads USING (true)', offender: 'leads: open' },
  ],
  'outside tenant tables the app role sees rows by way of the current tenant, and writes none': [
    { sql: 'CREATE POLICY open ON users FOR SELECT TO oltp_app USING (true)', offender: 'users: open' },
    { sql: 'CREATE POLICY open ON users FOR INSERT TO oltp_app WITH CHECK (true)', offender: 'users: open' },
  ],
  'the owner has a policy, or its backfill would touch no row': [
    { sql: 'DROP POLICY owner_migrates ON templates', offender: 'templates' },
    { sql: 'ALTER POLICY owner_migrates ON templates USING (false)', offender: 'templates' },
  ],
  'the system role has a policy': [{ sql: 'DROP POLICY system_works ON templates', offender: 'templates' }],

  'nobody holds a grant on a partition: it would bypass the policies of its parent': [
    { sql: 'GRANT SELECT ON inbox_message_refs_p00 TO oltp_app', offender: 'inbox_message_refs_p00: oltp_app SELECT' },
    {
      sql: 'GRANT UPDATE (subject) ON inbox_message_refs_p00 TO oltp_system',
      offender: 'inbox_message_refs_p00: oltp_system UPDATE',
    },
  ],
  'the app role has no TRUNCATE, TRIGGER, REFERENCES or MAINTAIN': [
    { sql: 'GRANT TRUNCATE ON leads TO oltp_app', offender: 'leads: TRUNCATE' },
    { sql: 'GRANT TRIGGER ON leads TO oltp_app', offender: 'leads: TRIGGER' },
    { sql: 'GRANT REFERENCES (email) ON leads TO oltp_app', offender: 'leads: REFERENCES' },
  ],
  'of a platform table the app role reads named columns at most': [
    { sql: 'GRANT SELECT ON plans TO oltp_app', offender: 'plans: SELECT' },
    { sql: 'GRANT UPDATE (name) ON plans TO oltp_app', offender: 'plans: UPDATE' },
  ],
  'a platform table that names tenants is closed to the app role': [
    { sql: 'GRANT SELECT (email) ON mailbox_directory TO oltp_app', offender: 'mailbox_directory' },
  ],
  'a membership table is only read by the app role': [
    { sql: 'GRANT UPDATE ON users TO oltp_app', offender: 'users: UPDATE' },
  ],
  'nothing is granted to everybody, and the migration history to nobody': [
    { sql: 'GRANT SELECT ON plans TO PUBLIC', offender: 'plans: public SELECT' },
    { sql: 'GRANT SELECT ON _prisma_migrations TO oltp_system', offender: '_prisma_migrations: oltp_system SELECT' },
  ],
  'the app and system roles own nothing': [
    { sql: 'ALTER TABLE leads OWNER TO oltp_app', offender: 'oltp_app: table leads' },
    { sql: 'ALTER FUNCTION tier_name() OWNER TO oltp_system', offender: 'oltp_system: function tier_name()' },
  ],
  'no role of the tier is a superuser, passes by row level security, or makes roles or databases': [
    { sql: 'ALTER ROLE oltp_app BYPASSRLS', offender: 'oltp_app' },
    { sql: 'ALTER ROLE oltp_system SUPERUSER', offender: 'oltp_system' },
  ],
  'the app and system roles are members of no other role': [
    { sql: 'GRANT oltp_owner TO oltp_app', offender: 'oltp_app: oltp_owner' },
  ],
  'the app and system roles create nothing in the schema or the database': [
    { sql: 'GRANT CREATE ON SCHEMA public TO oltp_app', offender: 'oltp_app' },
  ],
  'a function that runs as its owner has a fixed search path, and is not for everybody to call': [
    { sql: securityDefiner(''), offender: 'planted' },
    { sql: `${securityDefiner('')}; REVOKE EXECUTE ON FUNCTION planted FROM PUBLIC`, offender: 'planted' },
    { sql: securityDefiner('SET search_path = pg_catalog'), offender: 'planted' },
  ],

  'every table has a primary key; that of a tenant table begins with tenant_id': [
    { sql: tenantTable('tenant_id uuid NOT NULL, id uuid'), offender: 'planted' },
    { sql: tenantTable('tenant_id uuid NOT NULL, id uuid, PRIMARY KEY (id, tenant_id)'), offender: 'planted' },
  ],
  'every unique key of a tenant table carries tenant_id': [
    { sql: 'CREATE UNIQUE INDEX planted ON leads (email)', offender: 'leads: planted' },
    { sql: 'CREATE UNIQUE INDEX planted ON leads (email) INCLUDE (tenant_id)', offender: 'leads: planted' },
    { sql: 'ALTER TABLE campaigns ADD CONSTRAINT planted UNIQUE (id)', offender: 'campaigns: planted' },
  ],
  'a foreign key to a tenant table pairs tenant with tenant': [
    {
      sql: `CREATE UNIQUE INDEX planted_key ON leads (id);
        ALTER TABLE templates ADD COLUMN lead_id uuid CONSTRAINT planted REFERENCES leads (id)`,
      offender: 'templates: planted',
    },
    {
      sql: `ALTER TABLE templates ADD COLUMN other uuid,
        ADD CONSTRAINT planted FOREIGN KEY (other, id) REFERENCES leads (tenant_id, id)`,
      offender: 'templates: planted',
    },
  ],
  'a foreign key neither cascades nor sets null or default: on a composite key that would touch the tenant': [
    'ON DELETE SET NULL',
    'ON DELETE CASCADE',
    'ON UPDATE CASCADE',
    'ON DELETE SET DEFAULT',
  ].map((action) => ({
    sql: `ALTER TABLE templates ADD COLUMN lead_id uuid,
        ADD CONSTRAINT planted FOREIGN KEY (tenant_id, lead_id) REFERENCES leads (tenant_id, id) ${action}`,
    offender: 'templates: planted',
  })),
  'nothing in OLTP or Content is numbered by a sequence': [
    { sql: 'ALTER TABLE leads ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY', offender: 'leads_number_seq' },
  ],

  'every column says its class: public, internal, personal or content': [
    { sql: 'ALTER TABLE leads ADD COLUMN planted text', offender: 'leads.planted' },
    { sql: `COMMENT ON COLUMN leads.email IS '[secret] address'`, offender: 'leads.email' },
    { sql: `COMMENT ON COLUMN plans.name IS '[public]'`, offender: 'plans.name' },
  ],
  'no column is a Postgres enum: its equality is not leakproof, so its index goes unused behind policies': [
    {
      sql: `CREATE TYPE mood AS ENUM ('good'); ALTER TABLE leads ADD COLUMN planted mood`,
      offender: 'leads.planted',
    },
    {
      sql: `CREATE TYPE mood AS ENUM ('good'); ALTER TABLE leads ADD COLUMN planted mood[]`,
      offender: 'leads.planted',
    },
  ],
  'a point in time is timestamptz(3) and its name ends in _at': [
    { sql: 'ALTER TABLE leads ADD COLUMN seen_at timestamptz', offender: 'leads.seen_at' },
    { sql: 'ALTER TABLE leads ADD COLUMN seen_at timestamp(3)', offender: 'leads.seen_at' },
    { sql: 'ALTER TABLE leads ADD COLUMN seen timestamptz(3)', offender: 'leads.seen' },
  ],
  'every table has created_at': [
    { sql: tenantTable('tenant_id uuid NOT NULL, id uuid'), offender: 'planted' },
    { sql: 'ALTER TABLE plans RENAME created_at TO made_at', offender: 'plans' },
  ],
  'updated_at is kept by a trigger, whoever writes, unless its comment says otherwise': [
    { sql: 'DROP TRIGGER keep_updated_at ON leads', offender: 'leads' },
  ],
  'tables that NileDB manages hold TEXT, never VARCHAR, and roles as text[]': [
    { sql: 'ALTER TABLE users ALTER COLUMN picture TYPE varchar(200)', offender: 'users.picture' },
  ],

  'a view runs as its caller, or is a barrier that shows the current tenant its rows of a materialized view': [
    { sql: 'CREATE VIEW planted AS SELECT * FROM leads', offender: 'planted' },
    {
      sql: `CREATE VIEW planted WITH (security_barrier) AS
        SELECT * FROM leads WHERE tenant_id = current_setting('app.current_tenant_id')::uuid`,
      offender: 'planted',
    },
    {
      sql: `CREATE MATERIALIZED VIEW planted_data AS SELECT tenant_id FROM leads;
        CREATE VIEW planted WITH (security_barrier) AS SELECT * FROM planted_data`,
      offender: 'planted',
    },
    {
      sql: `CREATE MATERIALIZED VIEW planted_data AS SELECT tenant_id FROM leads;
        CREATE VIEW planted WITH (security_barrier) AS
        SELECT * FROM planted_data WHERE tenant_id = current_setting('app.current_tenant_id')::uuid OR true`,
      offender: 'planted',
    },
  ],
  'a materialized view is not granted to the app role': [
    {
      sql: 'CREATE MATERIALIZED VIEW planted AS SELECT 1 AS one; GRANT SELECT ON planted TO oltp_app',
      offender: 'planted',
    },
  ],
  'a materialized view has a unique index over whole rows, or it could not be refreshed concurrently': [
    { sql: 'CREATE MATERIALIZED VIEW planted AS SELECT 1 AS one', offender: 'planted' },
  ],
}

function tenantTable(columns: string): string {
  return `CREATE TABLE planted (${columns}); COMMENT ON TABLE planted IS 'Scope: tenant. Planted.'`
}

function securityDefiner(settings: string): string {
  return `CREATE FUNCTION planted() RETURNS int LANGUAGE sql SECURITY DEFINER ${settings} AS 'SELECT 1'`
}
