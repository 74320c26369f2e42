-- Campaigns in the order of their figures: every campaign has its row of them from the beginning, so that one index gives
-- the order, those without a rate last.

-- Serve campaigns(orderBy: REPLY_RATE), best first and worst first.
CREATE INDEX campaign_metrics_best_idx ON campaign_metrics (tenant_id, reply_rate DESC NULLS LAST, campaign_id DESC);
CREATE INDEX campaign_metrics_worst_idx ON campaign_metrics (tenant_id, reply_rate, campaign_id);

CREATE FUNCTION add_campaign_metrics() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO campaign_metrics (tenant_id, campaign_id, as_of_at) SELECT tenant_id, id, to_timestamp(0) FROM added;
  RETURN NULL;
END $$;
CREATE TRIGGER add_campaign_metrics AFTER INSERT ON campaigns
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION add_campaign_metrics();

INSERT INTO campaign_metrics (tenant_id, campaign_id, as_of_at) SELECT tenant_id, id, to_timestamp(0) FROM campaigns
ON CONFLICT DO NOTHING;
