DROP FUNCTION search_content;
DROP INDEX content_search_waiting_idx;
DELETE FROM content_search WHERE search_vector IS NULL;
