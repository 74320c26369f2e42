DROP FUNCTION refresh_analytics_views;
DROP VIEW campaign_performance, mailbox_health, tenant_month, ip_pool;
DROP MATERIALIZED VIEW campaign_performance_data, mailbox_health_data, tenant_month_data, ip_pool_data;
DROP FUNCTION mail_health_score;
DROP FUNCTION rate;
DROP FUNCTION record_email_events;
DROP FUNCTION add_address_facts;
DROP FUNCTION add_daily_facts;
DROP TYPE counted_event;
DROP TABLE analytics_archives, analytics_watermarks;
DROP FUNCTION audit_row_hash;
DROP TABLE admin_audit_log;
DROP FUNCTION chain_audit_entry;
DROP FUNCTION refuse_audit_change;
DROP TABLE billing_analytics;
DROP TABLE campaign_analytics, sequence_step_analytics, mailbox_analytics, lead_analytics, warmup_analytics,
  infrastructure_analytics;
DROP TABLE first_events, email_events, event_receipts;
