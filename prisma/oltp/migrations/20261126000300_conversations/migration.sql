-- Conversations keep themselves: whoever writes a message, in whatever way, changes the conversation in the same
-- statement. And what brakes, polling and the list of replies look things up by.

ALTER TABLE email_accounts ADD COLUMN reviewed_at timestamptz(3);
ALTER TABLE campaigns ADD COLUMN reviewed_at timestamptz(3);

-- Serves brakes: what a campaign has sent.
CREATE INDEX inbox_message_refs_campaign_sent_idx ON inbox_message_refs (tenant_id, campaign_id, sent_at)
  WHERE (sent_at IS NOT NULL AND campaign_id IS NOT NULL);
-- Serves mail that left and of which nothing was heard: it counts as delivered after a while.
CREATE INDEX inbox_message_refs_unsettled_idx ON inbox_message_refs (tenant_id, sent_at)
  WHERE (sent_at IS NOT NULL AND delivered_at IS NULL AND bounced_at IS NULL);
-- Serves recentReplies.
CREATE INDEX inbox_message_refs_replies_idx ON inbox_message_refs (tenant_id, created_at DESC, id DESC)
  WHERE (direction = 'inbound'::text AND message_type = 'email'::text AND campaign_id IS NOT NULL);
-- Serves mailboxes to be polled.
CREATE INDEX email_accounts_imap_idx ON email_accounts (tenant_id, id)
  WHERE (deleted_at IS NULL AND imap_settings <> '{}'::jsonb);

-- A subject as it is searched: by its beginning, whatever was written before it on the way. Compared byte by byte, so
-- that a beginning is a range of an index, which is used behind policies too.
CREATE FUNCTION subject_key(subject text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT nullif(left(lower(regexp_replace(btrim(subject),
    '^((re|r|aw|antw|sv|vs|fw|fwd|wg|tr|rv|ref|res|odp|ynt|回复|转发)(\[\d+\])?[ \t]*[:：][ \t]*)+', '', 'i')), 200), '')
$$;
ALTER TABLE conversations ADD COLUMN subject_key text COLLATE "C";
-- Serves conversations by the beginning of their subject.
CREATE INDEX conversations_subject_idx
  ON conversations (tenant_id, subject_key, last_message_at DESC, thread_id DESC) WHERE (subject_key IS NOT NULL);

-- A thread whose only answers are reports of mail servers is none that someone has written to us in.
DELETE FROM conversations c WHERE NOT EXISTS (
  SELECT FROM inbox_message_refs r WHERE r.tenant_id = c.tenant_id AND r.thread_id = c.thread_id
    AND r.direction = 'inbound' AND r.message_type <> 'bounce');
UPDATE conversations SET subject_key = subject_key(subject);

-- A conversation begins with the first mail that someone is to read: what comes in read already (a report that was
-- understood) makes none. Runs as whoever writes, so behind the policies of its tenant.
CREATE FUNCTION keep_conversations() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  spot record;
BEGIN
  -- Most mail goes out as the first of its thread: it is in nobody's inbox.
  IF NOT EXISTS (SELECT FROM added WHERE direction = 'inbound' OR thread_id <> id) THEN RETURN NULL; END IF;

  -- Who begins a conversation counts what is in the thread, and must not miss what another transaction adds to it just
  -- then. A few locks, whatever the number of messages; always in the same order.
  FOR spot IN
    SELECT hashtext(tenant_id::text) AS tenant, hashtext(thread_id::text) & 63 AS part,
           bool_or(direction = 'inbound') AS begins
    FROM added WHERE thread_id <> id GROUP BY 1, 2 ORDER BY 1, 2
  LOOP
    IF spot.begins THEN PERFORM pg_advisory_xact_lock(spot.tenant, spot.part);
    ELSE PERFORM pg_advisory_xact_lock_shared(spot.tenant, spot.part); END IF;
  END LOOP;
  PERFORM FROM conversations c
    WHERE (c.tenant_id, c.thread_id) IN (SELECT tenant_id, thread_id FROM added WHERE thread_id <> id)
    ORDER BY c.tenant_id, c.thread_id FOR UPDATE;

  UPDATE conversations c SET
    message_count = c.message_count + news.messages,
    unread_count = c.unread_count + news.unread,
    -- What was put away comes back when someone writes.
    is_archived = c.is_archived AND news.unread = 0,
    correspondent_email = coalesce(news.correspondent_email, c.correspondent_email),
    campaign_id = coalesce(news.campaign_id, c.campaign_id),
    lead_id = coalesce(news.lead_id, c.lead_id),
    last_inbound_at = greatest(c.last_inbound_at, news.inbound_at),
    last_message_id = CASE WHEN news.is_last THEN news.id ELSE c.last_message_id END,
    last_message_at = CASE WHEN news.is_last THEN news.created_at ELSE c.last_message_at END,
    email_account_id = CASE WHEN news.is_last THEN news.email_account_id ELSE c.email_account_id END,
    subject = CASE WHEN news.is_last THEN news.subject ELSE c.subject END,
    subject_key = CASE WHEN news.is_last THEN subject_key(news.subject) ELSE c.subject_key END
  FROM (
    SELECT last.*, sums.*, (last.created_at, last.id) > (known.last_message_at, known.last_message_id) AS is_last
    FROM (SELECT tenant_id AS of_tenant, thread_id AS of_thread, count(*) AS messages,
            count(*) FILTER (WHERE direction = 'inbound' AND NOT is_read) AS unread,
            max(created_at) FILTER (WHERE direction = 'inbound' AND NOT is_read) AS inbound_at,
            (array_agg(from_email ORDER BY created_at DESC, id DESC)
              FILTER (WHERE direction = 'inbound' AND NOT is_read))[1] AS correspondent_email,
            (array_agg(campaign_id ORDER BY created_at DESC, id DESC) FILTER (WHERE campaign_id IS NOT NULL))[1]
              AS campaign_id,
            (array_agg(lead_id ORDER BY created_at DESC, id DESC) FILTER (WHERE lead_id IS NOT NULL))[1] AS lead_id
          FROM added WHERE thread_id <> id GROUP BY tenant_id, thread_id) AS sums
    JOIN (SELECT DISTINCT ON (tenant_id, thread_id) tenant_id, thread_id, id, created_at, email_account_id, subject
          FROM added ORDER BY tenant_id, thread_id, created_at DESC, id DESC) AS last
      ON last.tenant_id = of_tenant AND last.thread_id = of_thread
    JOIN conversations known ON known.tenant_id = of_tenant AND known.thread_id = of_thread
  ) AS news
  WHERE c.tenant_id = news.of_tenant AND c.thread_id = news.of_thread;

  INSERT INTO conversations (tenant_id, thread_id, email_account_id, campaign_id, lead_id, correspondent_email, subject,
    subject_key, message_count, unread_count, last_message_id, last_message_at, last_inbound_at, created_at)
  SELECT last.tenant_id, last.thread_id, last.email_account_id, sums.campaign_id, sums.lead_id, sums.correspondent_email,
    last.subject, subject_key(last.subject), sums.messages, sums.unread, last.id, last.created_at, sums.inbound_at,
    sums.first_at
  FROM (SELECT DISTINCT tenant_id, thread_id FROM added WHERE direction = 'inbound' AND NOT is_read) AS begun
  CROSS JOIN LATERAL (
    SELECT count(*) AS messages, count(*) FILTER (WHERE r.direction = 'inbound' AND NOT r.is_read) AS unread,
      max(r.created_at) FILTER (WHERE r.direction = 'inbound' AND NOT r.is_read) AS inbound_at, min(r.created_at) AS first_at,
      (array_agg(r.from_email ORDER BY r.created_at DESC, r.id DESC)
        FILTER (WHERE r.direction = 'inbound' AND NOT r.is_read))[1] AS correspondent_email,
      (array_agg(r.campaign_id ORDER BY r.created_at DESC, r.id DESC) FILTER (WHERE r.campaign_id IS NOT NULL))[1]
        AS campaign_id,
      (array_agg(r.lead_id ORDER BY r.created_at DESC, r.id DESC) FILTER (WHERE r.lead_id IS NOT NULL))[1] AS lead_id
    FROM inbox_message_refs r WHERE r.tenant_id = begun.tenant_id AND r.thread_id = begun.thread_id) AS sums
  CROSS JOIN LATERAL (
    SELECT r.tenant_id, r.thread_id, r.id, r.created_at, r.email_account_id, r.subject
    FROM inbox_message_refs r WHERE r.tenant_id = begun.tenant_id AND r.thread_id = begun.thread_id
    ORDER BY r.created_at DESC, r.id DESC LIMIT 1) AS last
  WHERE NOT EXISTS (
    SELECT FROM conversations c WHERE c.tenant_id = begun.tenant_id AND c.thread_id = begun.thread_id);
  RETURN NULL;
END $$;
CREATE TRIGGER keep_conversations AFTER INSERT ON inbox_message_refs
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION keep_conversations();
