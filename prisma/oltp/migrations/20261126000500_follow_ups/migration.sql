-- Serves the planner: leads that have been written to go before new ones when there is room for few.
CREATE INDEX campaign_enrollments_follow_ups_idx
  ON campaign_enrollments (tenant_id, campaign_id, next_run_at, id)
  WHERE (status = 'active'::text AND current_step_order > 0);
