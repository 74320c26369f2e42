-- Files that are no mails: lists of leads on their way in and out. They are written and read in parts, so that nobody
-- ever holds a whole one; each part is compressed and sealed for itself.

CREATE TABLE stored_files (
  tenant_id uuid NOT NULL,
  storage_key varchar(500) NOT NULL,
  filename text NOT NULL,
  mime_type text NOT NULL,
  state text NOT NULL DEFAULT 'writing',
  part_count integer NOT NULL DEFAULT 0,
  size_bytes bigint NOT NULL DEFAULT 0,
  stored_size_bytes bigint NOT NULL DEFAULT 0,
  keep_days integer NOT NULL,
  expires_at timestamptz(3) NOT NULL,
  completed_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT stored_files_pkey PRIMARY KEY (tenant_id, storage_key),
  CONSTRAINT stored_files_storage_key_check CHECK (storage_key <> ''),
  CONSTRAINT stored_files_filename_check CHECK (filename <> '' AND filename !~ '[/\\]'),
  CONSTRAINT stored_files_state_check CHECK (state IN ('writing', 'complete')),
  CONSTRAINT stored_files_completed_check CHECK ((state = 'complete') = (completed_at IS NOT NULL)),
  CONSTRAINT stored_files_keep_days_check CHECK (keep_days > 0)
);
-- Serves the clean-up of files past their time, of all tenants.
CREATE INDEX stored_files_expires_at_idx ON stored_files (expires_at);
SELECT make_tenant_table('stored_files'), keep_updated_at('stored_files');

CREATE TABLE stored_file_parts (
  tenant_id uuid NOT NULL,
  storage_key varchar(500) NOT NULL,
  position integer NOT NULL,
  hash bytea NOT NULL,
  key_version integer NOT NULL,
  codec text NOT NULL,
  cipher text NOT NULL,
  raw_size_bytes integer NOT NULL,
  stored_size_bytes integer NOT NULL,
  bytes bytea NOT NULL,
  created_at timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT stored_file_parts_pkey PRIMARY KEY (tenant_id, storage_key, position),
  CONSTRAINT stored_file_parts_tenant_id_storage_key_fkey FOREIGN KEY (tenant_id, storage_key)
    REFERENCES stored_files (tenant_id, storage_key) ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT stored_file_parts_position_check CHECK (position >= 0),
  CONSTRAINT stored_file_parts_hash_check CHECK (octet_length(hash) = 32),
  CONSTRAINT stored_file_parts_codec_check CHECK (codec IN ('identity', 'gzip', 'brotli', 'zstd')),
  CONSTRAINT stored_file_parts_cipher_check CHECK (cipher IN ('none', 'aes_256_gcm'))
);
-- What is compressed and sealed does not compress again.
ALTER TABLE stored_file_parts ALTER COLUMN bytes SET STORAGE EXTERNAL;
SELECT make_tenant_table('stored_file_parts');
