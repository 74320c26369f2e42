-- Lists of what is rare: bounces and automatic answers among messages, one company's suppressions among the tenant's.

-- Serves messages of a kind other than the usual.
CREATE INDEX inbox_message_refs_kinds_idx ON inbox_message_refs (tenant_id, message_type, created_at DESC, id DESC)
  WHERE (message_type <> 'email'::text);
-- Serves suppressions of a company.
CREATE INDEX suppressions_tenant_id_company_id_created_at_id_idx
  ON suppressions (tenant_id, company_id, created_at DESC, id DESC) WHERE (company_id IS NOT NULL);
-- Serves suppressions of a scope. Not a partial index: a prepared statement's plan for any scope could not use one.
CREATE INDEX suppressions_tenant_id_scope_created_at_id_idx ON suppressions (tenant_id, scope, created_at DESC, id DESC);
