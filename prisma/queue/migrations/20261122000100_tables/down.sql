DROP TABLE queue_alert_history, queue_alerts, job_metrics, worker_leases, workers, scheduled_jobs, dead_letter_jobs,
  job_logs, enqueue_receipts, jobs, job_queues;
