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
-- understood) makes none. Runs as whoever writes, so behind the policies of its tenant. Thread by thread, each by its key:
-- a join with so few rows would be planned once, for tables as they were then. And with plans that are made once a
-- session: to plan a look into sixteen partitions with their thirty indexes takes longer than everything else here.
CREATE FUNCTION keep_conversations() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  spot record;
  news record;
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

  FOR news IN
    SELECT tenant_id, thread_id, count(*) AS messages,
      count(*) FILTER (WHERE direction = 'inbound' AND NOT is_read) AS unread,
      max(created_at) FILTER (WHERE direction = 'inbound' AND NOT is_read) AS inbound_at,
      (array_agg(from_email ORDER BY created_at DESC, id DESC) FILTER (WHERE direction = 'inbound' AND NOT is_read))[1]
        AS correspondent_email,
      (array_agg(campaign_id ORDER BY created_at DESC, id DESC) FILTER (WHERE campaign_id IS NOT NULL))[1] AS campaign_id,
      (array_agg(lead_id ORDER BY created_at DESC, id DESC) FILTER (WHERE lead_id IS NOT NULL))[1] AS lead_id,
      (array_agg(id ORDER BY created_at DESC, id DESC))[1] AS last_id, max(created_at) AS last_at,
      (array_agg(email_account_id ORDER BY created_at DESC, id DESC))[1] AS email_account_id,
      (array_agg(subject ORDER BY created_at DESC, id DESC))[1] AS subject,
      bool_or(thread_id = id) AS is_whole, min(created_at) AS first_at
    FROM added WHERE direction = 'inbound' OR thread_id <> id GROUP BY tenant_id, thread_id ORDER BY tenant_id, thread_id
  LOOP
    UPDATE conversations c SET
      message_count = c.message_count + news.messages,
      unread_count = c.unread_count + news.unread,
      -- What was put away comes back when someone writes.
      is_archived = c.is_archived AND news.unread = 0,
      correspondent_email = coalesce(news.correspondent_email, c.correspondent_email),
      campaign_id = coalesce(news.campaign_id, c.campaign_id),
      lead_id = coalesce(news.lead_id, c.lead_id),
      last_inbound_at = greatest(c.last_inbound_at, news.inbound_at),
      (last_message_id, last_message_at, email_account_id, subject, subject_key) = (
        SELECT CASE WHEN is_last THEN news.last_id ELSE c.last_message_id END,
          CASE WHEN is_last THEN news.last_at ELSE c.last_message_at END,
          CASE WHEN is_last THEN news.email_account_id ELSE c.email_account_id END,
          CASE WHEN is_last THEN news.subject ELSE c.subject END,
          CASE WHEN is_last THEN subject_key(news.subject) ELSE c.subject_key END
        FROM (SELECT (news.last_at, news.last_id) > (c.last_message_at, c.last_message_id) AS is_last) AS place)
    WHERE c.tenant_id = news.tenant_id AND c.thread_id = news.thread_id;
    CONTINUE WHEN FOUND OR news.unread = 0;

    -- A thread that begins here holds nothing else yet.
    IF news.is_whole THEN
      INSERT INTO conversations (tenant_id, thread_id, email_account_id, campaign_id, lead_id, correspondent_email,
        subject, subject_key, message_count, unread_count, last_message_id, last_message_at, last_inbound_at, created_at)
      VALUES (news.tenant_id, news.thread_id, news.email_account_id, news.campaign_id, news.lead_id,
        news.correspondent_email, news.subject, subject_key(news.subject), news.messages, news.unread, news.last_id,
        news.last_at, news.inbound_at, news.first_at);
      CONTINUE;
    END IF;
    INSERT INTO conversations (tenant_id, thread_id, email_account_id, campaign_id, lead_id, correspondent_email, subject,
      subject_key, message_count, unread_count, last_message_id, last_message_at, last_inbound_at, created_at)
    SELECT news.tenant_id, news.thread_id,
      (array_agg(r.email_account_id ORDER BY r.created_at DESC, r.id DESC))[1],
      (array_agg(r.campaign_id ORDER BY r.created_at DESC, r.id DESC) FILTER (WHERE r.campaign_id IS NOT NULL))[1],
      (array_agg(r.lead_id ORDER BY r.created_at DESC, r.id DESC) FILTER (WHERE r.lead_id IS NOT NULL))[1],
      news.correspondent_email,
      (array_agg(r.subject ORDER BY r.created_at DESC, r.id DESC))[1],
      subject_key((array_agg(r.subject ORDER BY r.created_at DESC, r.id DESC))[1]),
      count(*), count(*) FILTER (WHERE r.direction = 'inbound' AND NOT r.is_read),
      (array_agg(r.id ORDER BY r.created_at DESC, r.id DESC))[1], max(r.created_at), news.inbound_at, min(r.created_at)
    FROM inbox_message_refs r WHERE r.tenant_id = news.tenant_id AND r.thread_id = news.thread_id;
  END LOOP;
  RETURN NULL;
END $$;
CREATE TRIGGER keep_conversations AFTER INSERT ON inbox_message_refs
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION keep_conversations();
