/** What cancelJobs writes: an attempt that a person ended is no outcome of the job's. */
export const STOPPED = 'stopped by a person'

/**
 * Attempts that ended in [$1, $2). Only an attempt's own line has a duration. The job is looked up by its key, line by
 * line: OFFSET keeps the planner from reading all jobs instead, when a minute seems to have many lines.
 */
export const ENDED = `
  SELECT l.created_at, j.queue_name, j.job_type, l.log_level, l.duration_ms, l.wait_ms
  FROM job_logs l CROSS JOIN LATERAL (
    SELECT queue_name, job_type FROM jobs WHERE tenant_id = l.tenant_id AND id = l.job_id OFFSET 0) AS j
  WHERE l.created_at >= $1 AND l.created_at < $2 AND l.duration_ms IS NOT NULL AND l.message <> '${STOPPED}'`

/** Half, 95 and 99 of 100 waited or ran no longer: real values of the set, none made up in between. */
const TIMES = `
  percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY wait_ms) AS waits,
  percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY duration_ms) AS runs`

const KEY = ['granularity', 'bucket_at', 'queue_name', 'job_type']
const COUNTS = ['enqueued', 'completed', 'failed', 'retried']
const TIME_COLUMNS = ['wait_p50_ms', 'wait_p95_ms', 'wait_p99_ms', 'run_p50_ms', 'run_p95_ms', 'run_p99_ms']

// Jobs that their queue keeps no longer are gone when a minute is computed again: what was counted once stays counted,
// and its times are those of the fullest set. A row that would not change is not written.
const KEEP_COUNTS = `
  ON CONFLICT (${KEY.join(', ')}) DO UPDATE SET
    ${COUNTS.map((column) => `${column} = greatest(m.${column}, excluded.${column})`).join(', ')},
    ${TIME_COLUMNS.map(
      (column) => `${column} = CASE WHEN excluded.completed + excluded.failed + excluded.retried
        >= m.completed + m.failed + m.retried THEN excluded.${column} ELSE m.${column} END`,
    ).join(', ')}
  WHERE excluded.enqueued > m.enqueued
    OR excluded.completed + excluded.failed + excluded.retried > m.completed + m.failed + m.retried`

/** Every minute in [$1, $2). */
export const MINUTES_OF = `
  WITH attempts AS (
    SELECT date_trunc('minute', created_at) AS bucket_at, queue_name, job_type,
      count(*) FILTER (WHERE log_level = 'info') AS completed,
      count(*) FILTER (WHERE log_level = 'error') AS failed,
      count(*) FILTER (WHERE log_level = 'warning') AS retried,
      ${TIMES}
    FROM (${ENDED}) AS ended GROUP BY 1, 2, 3
  ), arrivals AS (
    SELECT date_trunc('minute', created_at) AS bucket_at, queue_name, job_type, count(*) AS enqueued
    FROM jobs WHERE created_at >= $1 AND created_at < $2 GROUP BY 1, 2, 3
  )
  INSERT INTO job_metrics AS m (${[...KEY, ...COUNTS, ...TIME_COLUMNS].join(', ')})
  SELECT 'minute', bucket_at, queue_name, job_type, coalesce(enqueued, 0), coalesce(completed, 0), coalesce(failed, 0),
    coalesce(retried, 0), waits[1], waits[2], waits[3], runs[1], runs[2], runs[3]
  FROM attempts FULL JOIN arrivals USING (bucket_at, queue_name, job_type)
  ${KEEP_COUNTS}`

/** Counts of the hour [$1, $2): its minutes'. */
export const SUM_OF_HOUR = `
  INSERT INTO job_metrics AS m (${[...KEY, ...COUNTS].join(', ')})
  SELECT 'hour', $1, queue_name, job_type, ${COUNTS.map((column) => `sum(${column})`).join(', ')}
  FROM job_metrics WHERE granularity = 'minute' AND bucket_at >= $1 AND bucket_at < $2
  GROUP BY queue_name, job_type
  ON CONFLICT (${KEY.join(', ')}) DO UPDATE SET
    ${COUNTS.map((column) => `${column} = greatest(m.${column}, excluded.${column})`).join(', ')}`

/** Times of the hour [$1, $2), whose counts are there. */
export const TIMES_OF_HOUR = `
  UPDATE job_metrics m SET
    ${TIME_COLUMNS.map((column, index) => `${column} = t.${index < 3 ? 'waits' : 'runs'}[${(index % 3) + 1}]`).join(', ')}
  FROM (SELECT queue_name, job_type, ${TIMES} FROM (${ENDED}) AS ended GROUP BY 1, 2) AS t
  WHERE m.granularity = 'hour' AND m.bucket_at = $1 AND m.queue_name = t.queue_name AND m.job_type = t.job_type`
