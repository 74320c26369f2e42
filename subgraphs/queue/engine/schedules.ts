import type pg from 'pg'
import { type Firing, planFiring, type Timetable } from './dueTimes.ts'
import { type Enqueued, enqueueJobs } from './enqueue.ts'
import { inTransaction, type Sql } from './sql.ts'

/** A schedule as far as its jobs need it. */
export type JobTemplate = {
  tenantId: string
  id: string
  queueName: string
  jobType: string
  payload: unknown
  priority: number | null
}

export type Fired = {
  /** Schedules that were due. */
  schedules: number
  /** Jobs they became. */
  jobs: number
  readyQueues: string[]
  /** Schedules with a due time that became no job, and why. */
  troubles: { tenantId: string; scheduleId: string; name: string; note: string; isStopped: boolean }[]
}

type DueSchedule = JobTemplate & Timetable & { name: string; now: Date }

const SCHEDULES_A_STEP = 50
const MOST_STEPS = 40
const JOBS_A_STATEMENT = 500

// Whoever locks a due schedule fires it; others pass it by, and find it not due any more once it is free. One without a
// time was written by hand: it is given one.
const LOCK_DUE = `
  SELECT s.tenant_id AS "tenantId", s.id, s.name, s.queue_name AS "queueName", s.job_type AS "jobType", s.payload,
    s.priority, s.cron_expression AS "cronExpression", s.timezone, s.overlap_policy AS "overlapPolicy",
    s.missed_run_policy AS "missedRunPolicy", s.next_run_at AS "nextRunAt", coalesce($2::timestamptz, now()) AS now,
    EXISTS (SELECT FROM jobs j WHERE j.tenant_id = s.tenant_id AND j.id = s.last_job_id AND j.status = 'queued')
      AS "isRunning"
  FROM scheduled_jobs s
  WHERE s.is_active AND (s.next_run_at <= coalesce($2::timestamptz, now()) OR s.next_run_at IS NULL)
  ORDER BY s.next_run_at NULLS FIRST LIMIT $1
  FOR UPDATE SKIP LOCKED`

const ADVANCE = `
  UPDATE scheduled_jobs s
  SET next_run_at = f."nextRunAt", is_active = f."nextRunAt" IS NOT NULL, last_error = f.note,
    last_run_at = CASE WHEN f."lastJobId" IS NULL THEN s.last_run_at ELSE f.now END,
    last_job_id = coalesce(f."lastJobId", s.last_job_id), run_count = s.run_count + f.made
  FROM jsonb_to_recordset($1::jsonb) AS f ("tenantId" uuid, id uuid, "nextRunAt" timestamptz, note text, now timestamptz,
    "lastJobId" uuid, made int)
  WHERE s.tenant_id = f."tenantId" AND s.id = f.id`

/**
 * Makes the jobs of all schedules that are due, of any tenants; at most 2000 schedules a call, the rest with the next.
 * Any number of processes may do so at once: a schedule's jobs and its next time are written in one transaction, and each
 * job has a receipt by schedule and due time. A schedule that cannot be fired keeps the reason and stops no other; one
 * that can never be fired is stopped. `now` is the database's clock, unless given.
 */
export async function fireSchedules(pool: pg.Pool, now?: Date): Promise<Fired> {
  const fired: Fired = { schedules: 0, jobs: 0, readyQueues: [], troubles: [] }
  const readyQueues = new Set<string>()
  for (let step = 0; step < MOST_STEPS; step++) {
    const some = await inTransaction(pool, (tx) => fireSome(tx, now))
    fired.schedules += some.schedules
    fired.jobs += some.jobs
    fired.troubles.push(...some.troubles)
    for (const name of some.readyQueues) readyQueues.add(name)
    if (some.schedules < SCHEDULES_A_STEP) break
  }
  return { ...fired, readyQueues: [...readyQueues] }
}

/** The job of a schedule, as it is enqueued. The schedule's id is its correlation id, by which its jobs are found. */
export function toJobRequest({ tenantId, id, queueName, jobType, payload, priority }: JobTemplate) {
  return { tenantId, queueName, jobType, payload, priority, correlationId: id }
}

async function fireSome(tx: Sql, now: Date | undefined): Promise<Fired> {
  const { rows: due } = await tx.query<DueSchedule>(LOCK_DUE, [SCHEDULES_A_STEP, now ?? null])
  if (due.length === 0) return { schedules: 0, jobs: 0, readyQueues: [], troubles: [] }
  const firings = due.map((schedule) => ({ schedule, firing: planFiring(schedule, schedule.now) }))
  const requests = firings.flatMap(({ schedule, firing }) =>
    firing.times.map((time) => ({
      ...toJobRequest(schedule),
      source: 'schedule',
      key: `${schedule.id}:${time.toISOString()}`,
    })),
  )
  const { results, readyQueues } = await enqueueAll(tx, requests)
  let taken = 0
  const outcomes = firings.map(({ schedule, firing }) => {
    const own = results.slice(taken, taken + firing.times.length)
    taken += firing.times.length
    return describeOutcome(schedule, firing, own)
  })
  await tx.query(ADVANCE, [JSON.stringify(outcomes)])
  return {
    schedules: due.length,
    jobs: outcomes.reduce((sum, { made }) => sum + made, 0),
    readyQueues,
    troubles: outcomes.flatMap(({ tenantId, id, name, note, nextRunAt }) =>
      note === null ? [] : [{ tenantId, scheduleId: id, name, note, isStopped: nextRunAt === null }],
    ),
  }
}

function describeOutcome(schedule: DueSchedule, { nextRunAt, note }: Firing, results: Enqueued['results']) {
  const { tenantId, id, name, now } = schedule
  const refused = results.find(({ status }) => status === 'rejected')
  return {
    ...{ tenantId, id, name, now, nextRunAt },
    note: refused?.error ?? note,
    lastJobId: results.findLast(({ jobId }) => jobId !== null)?.jobId ?? null,
    made: results.filter(({ status }) => status === 'enqueued').length,
  }
}

async function enqueueAll(tx: Sql, requests: readonly object[]): Promise<Enqueued> {
  const parts: Enqueued[] = []
  for (let from = 0; from < requests.length; from += JOBS_A_STATEMENT) {
    parts.push(await enqueueTogether(tx, requests.slice(from, from + JOBS_A_STATEMENT)))
  }
  return join(parts)
}

/** What the database itself refuses is refused alone. Any other error is nobody's fault and undoes the whole step. */
async function enqueueTogether(tx: Sql, requests: readonly object[]): Promise<Enqueued> {
  await tx.query('SAVEPOINT enqueue')
  try {
    const enqueued = await enqueueJobs(tx, requests)
    await tx.query('RELEASE SAVEPOINT enqueue')
    return enqueued
  } catch (error) {
    if (!isDataError(error)) throw error
    await tx.query('ROLLBACK TO SAVEPOINT enqueue')
    if (requests.length === 1) {
      return { results: [{ key: '', jobId: null, status: 'rejected', error: 'cannot be stored' }], readyQueues: [] }
    }
    const parts: Enqueued[] = []
    for (const request of requests) parts.push(await enqueueTogether(tx, [request]))
    return join(parts)
  }
}

function join(parts: readonly Enqueued[]): Enqueued {
  return {
    results: parts.flatMap(({ results }) => results),
    readyQueues: [...new Set(parts.flatMap(({ readyQueues }) => readyQueues))],
  }
}

/** The statement itself is at fault (SQLSTATE classes 22 and 23), so repeating it cannot help. */
function isDataError(error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' && /^2[23]...$/.test(code)
}
