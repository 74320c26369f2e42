-- Mails wait for other people's servers most of the time: how many are under way at once is bounded by each mailbox's
-- connections, so the queue need not hold them back. An operator's own setting stays.
UPDATE job_queues SET max_concurrent_jobs = 500 WHERE name = 'email-sending' AND max_concurrent_jobs = 10;
