UPDATE job_queues SET max_concurrent_jobs = 10 WHERE name = 'email-sending' AND max_concurrent_jobs = 500;
