DROP TRIGGER add_campaign_metrics ON campaigns;
DROP FUNCTION add_campaign_metrics;
DROP INDEX campaign_metrics_best_idx, campaign_metrics_worst_idx;
