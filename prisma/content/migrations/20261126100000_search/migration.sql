-- Search in what mails say. Each mail has its row here from the beginning, without words until the indexer has read it.

-- Serves the indexer: what waits for its words, of all tenants, oldest first.
CREATE INDEX content_search_waiting_idx ON content_search (created_at) WHERE search_vector IS NULL;

INSERT INTO content_search (tenant_id, storage_key, created_at) SELECT tenant_id, storage_key, created_at FROM content_objects
ON CONFLICT DO NOTHING;

-- Mails of the tenant in scope that hold all the words, or have them as one piece in subject, addresses or file names,
-- newest first, behind a place in that order. Runs as the owner, since no policy lets an index of this kind be used, and
-- so names the tenant itself.
CREATE FUNCTION search_content(p_words text, p_before timestamptz, p_before_key text, p_limit integer)
RETURNS TABLE (storage_key varchar, created_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET plan_cache_mode = force_custom_plan
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  tenant uuid := current_setting('app.current_tenant_id')::uuid;
  words tsquery := websearch_to_tsquery('simple', p_words);
  piece text := '%' || regexp_replace(p_words, '([\\%_])', '\\\1', 'g') || '%';
BEGIN
  RETURN QUERY
    SELECT s.storage_key, s.created_at::timestamptz FROM content_search s
    WHERE s.tenant_id = tenant AND (s.search_vector @@ words OR s.trigram_text ILIKE piece)
      AND (p_before IS NULL OR (s.created_at, s.storage_key) < (p_before, p_before_key))
    ORDER BY s.created_at DESC, s.storage_key DESC LIMIT p_limit;
END $$;
REVOKE EXECUTE ON FUNCTION search_content FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_content TO content_app;
