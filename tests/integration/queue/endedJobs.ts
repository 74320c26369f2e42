import { makeServiceClient } from '#platform/graph/serviceClient.ts'
import { JobRunner } from '../../../subgraphs/queue/engine/jobRunner.ts'
import { makeWakeUp } from '../../../subgraphs/queue/engine/wakeUp.ts'
import type { TaskServices } from '../../../subgraphs/queue/tasks/services.ts'
import { tasks } from '../../../subgraphs/queue/tasks/tasks.ts'
import { demo, silent } from './queueDatabase.ts'
import type { QueueTier } from './queueTier.ts'

type Sql = QueueTier['sql']

const INSERT = `
  INSERT INTO jobs (tenant_id, id, queue_name, job_type, payload, status, attempt_count, failed_at, unique_key, priority)
  SELECT $1, uuidv7(), $2, $3, jsonb_build_object('place', place), $4, 1, CASE $4 WHEN 'failed' THEN now() END, $5, $6
  FROM generate_series(1, $7::int) AS place RETURNING id`

const BURY = `
  INSERT INTO dead_letter_jobs (tenant_id, id, job_id, queue_name, job_type, payload, final_attempt, failure_reason,
    error_fingerprint, accepted_at)
  SELECT tenant_id, gen_random_uuid(), id, queue_name, job_type, payload, 1, 'disk full', 'disk', now()
  FROM jobs WHERE id = ANY($1) RETURNING id`

type Ended = {
  tenantId?: string
  jobType: string
  queueName?: string
  status?: string
  uniqueKey?: string
  priority?: number
}

/** Jobs that have ended, as if a worker had been there; their payloads say { place: 1 } and so on. Answers their ids. */
export async function makeEndedJobs(sql: Sql, count: number, ended: Ended): Promise<string[]> {
  const {
    tenantId = demo,
    jobType,
    queueName = 'content-archival',
    status = 'failed',
    uniqueKey = null,
    priority = 100,
  } = ended
  const { rows } = await sql.query(INSERT, [tenantId, queueName, jobType, status, uniqueKey, priority, count])
  return rows.map(({ id }) => id)
}

/** Failed jobs with their letters: their ids, in no order. */
export async function buryJobs(sql: Sql, count: number, ended: Ended): Promise<{ jobs: string[]; letters: string[] }> {
  const jobs = await makeEndedJobs(sql, count, ended)
  const { rows } = await sql.query(BURY, [jobs])
  return { jobs, letters: rows.map(({ id }) => id) }
}

/** How many of these jobs have which status. */
export async function countStatuses(sql: Sql, jobs: readonly string[]): Promise<Record<string, number>> {
  const { rows } = await sql.query('SELECT status, count(*)::int FROM jobs WHERE id = ANY($1) GROUP BY status', [jobs])
  return Object.fromEntries(rows.map(({ status, count }) => [status, count]))
}

const OPERATIONS = ['replayDeadLetters', 'resolveDeadLetters', 'retryJobs', 'reprioritizeJobs']

/** A worker that does operations on many jobs and nothing else; `stop` it. */
export function startOperator({ sql }: QueueTier): JobRunner<TaskServices> {
  const nowhere = makeServiceClient({
    from: 'worker',
    to: 'oltp',
    key: Buffer.alloc(32),
    url: 'http://127.0.0.1:1/graphql',
  })
  const wakeUp = makeWakeUp(undefined, silent)
  const runner = new JobRunner<TaskServices>({
    ...{ pool: sql, wakeUp, log: silent, pollMs: 30 },
    tasks: tasks.filter(({ jobType }) => OPERATIONS.includes(jobType)),
    services: {
      ...{ oltp: nowhere, content: nowhere, analytics: nowhere },
      queue: { pool: sql, announce: wakeUp.announce },
      mail: { send: () => Promise.reject(new Error('there is no mail to send')) },
      mailboxes: { read: () => Promise.reject(new Error('there are no mailboxes')) },
    },
  })
  runner.start()
  return runner
}
