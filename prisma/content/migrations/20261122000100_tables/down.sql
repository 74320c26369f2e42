DROP TABLE content_access_log, retention_policies, notification_preferences, notifications, transactional_emails, uploads,
  attachments, content_search, content_objects, content_blobs, compression_dictionaries, tenant_keys;
DROP EXTENSION btree_gin;
DROP EXTENSION pg_trgm;
