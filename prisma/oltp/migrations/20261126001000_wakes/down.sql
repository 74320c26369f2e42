DROP INDEX inbox_message_refs_forgotten_idx;
DROP INDEX inbox_message_refs_mailbox_waiting_idx;
DROP INDEX inbox_message_refs_held_idx;
DROP INDEX inbox_message_refs_campaign_leaving_idx;
ALTER TABLE inbox_message_refs DROP COLUMN sending_job_id;

DELETE FROM campaign_agenda WHERE next_plan_at IS NULL;
DROP POLICY tenant_isolation ON campaign_agenda;
DROP POLICY owner_migrates ON campaign_agenda;
DROP POLICY system_works ON campaign_agenda;
ALTER TABLE campaign_agenda NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
DO $$ BEGIN
  EXECUTE format('REVOKE ALL ON campaign_agenda FROM %I', tier_name() || '_app');
END $$;
DROP INDEX campaign_agenda_next_plan_at_idx;
ALTER TABLE campaign_agenda ALTER COLUMN next_plan_at SET NOT NULL, DROP COLUMN wake_count;
CREATE INDEX campaign_agenda_next_plan_at_idx ON campaign_agenda (next_plan_at);
ALTER TABLE campaigns ADD COLUMN next_plan_at timestamptz(3);
COMMENT ON COLUMN campaigns.next_plan_at IS
  '[internal] when the planner has to look at it next; null when there is nothing to plan';
UPDATE campaigns c SET next_plan_at = a.next_plan_at
  FROM campaign_agenda a WHERE a.tenant_id = c.tenant_id AND a.campaign_id = c.id;
CREATE FUNCTION keep_campaign_agenda() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NEW.next_plan_at IS NULL OR NEW.deleted_at IS NOT NULL THEN
    DELETE FROM campaign_agenda WHERE tenant_id = NEW.tenant_id AND campaign_id = NEW.id;
  ELSE
    INSERT INTO campaign_agenda (tenant_id, campaign_id, next_plan_at) VALUES (NEW.tenant_id, NEW.id, NEW.next_plan_at)
    ON CONFLICT (tenant_id, campaign_id) DO UPDATE SET next_plan_at = excluded.next_plan_at;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER keep_campaign_agenda AFTER INSERT OR UPDATE OF next_plan_at, deleted_at ON campaigns
  FOR EACH ROW EXECUTE FUNCTION keep_campaign_agenda();
